package peer

import (
	"errors"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Known says whether this system names the peer of a Unix socket by process.
const Known = true

func identify(c *net.UnixConn) (id Identity, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return id, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var u *unix.Ucred
		if u, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			id = Identity{PID: int(u.Pid), UID: int(u.Uid)}
		}
	})
	return id, errors.Join(err, cerr)
}

// maxGroups is the kernel's NGROUPS_MAX.
const maxGroups = 65536

func groups(c *net.UnixConn) (ids []int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var u *unix.Ucred
		if u, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		var more []uint32
		if more, err = supplementary(fd, 64); errors.Is(err, unix.ERANGE) {
			more, err = supplementary(fd, maxGroups)
		}
		ids = append(ids, int(u.Gid))
		for _, g := range more {
			ids = append(ids, int(g))
		}
	})
	return ids, errors.Join(err, cerr)
}

// supplementary asks for SO_PEERGROUPS, for which x/sys has no call.
func supplementary(fd uintptr, room int) ([]uint32, error) {
	list := make([]uint32, room)
	size := uint32(len(list)) * uint32(unsafe.Sizeof(list[0]))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil, errno
	}
	return list[:size/uint32(unsafe.Sizeof(list[0]))], nil
}
