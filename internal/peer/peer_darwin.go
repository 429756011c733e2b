package peer

import (
	"errors"
	"net"

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
		var x *unix.Xucred
		if x, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err != nil {
			return
		}
		var pid int
		if pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			id = Identity{PID: pid, UID: int(x.Uid)}
		}
	})
	return id, errors.Join(err, cerr)
}

func groups(c *net.UnixConn) (ids []int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var x *unix.Xucred
		if x, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err != nil {
			return
		}
		for _, g := range x.Groups[:min(max(int(x.Ngroups), 0), len(x.Groups))] {
			ids = append(ids, int(g))
		}
	})
	return ids, errors.Join(err, cerr)
}
