//go:build !linux

package broker

import (
	"errors"
	"net"
	"os"
)

// Other systems have no sequenced packets on Unix sockets, or no way to pass a socket on: there a plugin dials by itself.

func pair() (*net.UnixConn, *os.File, error) { return nil, nil, errors.ErrUnsupported }

func hand(*net.UnixConn, []byte, net.Conn) error { return errors.ErrUnsupported }
