//go:build !linux

package dialsocket

import (
	"context"
	"errors"
	"net"
)

// Socket is never opened here: the system cannot pass a connection on.
type Socket struct{}

// Open reports that there is no dial socket.
func Open() (*Socket, bool) { return nil, false }

// DialContext fails.
func (*Socket) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if err := checkAddress(network, address); err != nil {
		return nil, err
	}
	return nil, dialError(network, address, errors.ErrUnsupported)
}
