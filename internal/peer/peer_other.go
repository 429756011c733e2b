//go:build !linux && !darwin

package peer

import (
	"errors"
	"net"
)

// Known says whether this system names the peer of a Unix socket by process. Where it does not, TLS does.
const Known = false

func identify(*net.UnixConn) (Identity, error) { return Identity{}, errors.ErrUnsupported }

func groups(*net.UnixConn) ([]int, error) { return nil, errors.ErrUnsupported }
