package peer

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Supported says whether this system tells the process at the other end.
const Supported = true

func identify(c *net.UnixConn) (id Identity, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return id, err
	}
	cerr := rc.Control(func(fd uintptr) {
		var user *unix.Xucred
		if user, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err != nil {
			return
		}
		var pid int
		if pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
			id = Identity{PID: pid, UID: int(user.Uid)}
		}
	})
	return id, errors.Join(err, cerr)
}
