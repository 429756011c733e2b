//go:build !linux && !darwin

package peer

import (
	"errors"
	"net"
)

// Supported says whether this system tells the process at the other end.
const Supported = false

func identify(*net.UnixConn) (Identity, error) { return Identity{}, errors.ErrUnsupported }
