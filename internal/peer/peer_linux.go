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
		var u *unix.Ucred
		if u, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			id = Identity{PID: int(u.Pid), UID: int(u.Uid)}
		}
	})
	return id, errors.Join(err, cerr)
}
