package sdktest

import (
	"context"
	"net"
	"time"
)

// blackHole is a backend that never answers: the system completes connections to it, and nobody takes them.
type blackHole struct {
	listener *net.TCPListener
	taken    net.Conn
}

func newBlackHole() (*blackHole, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return &blackHole{listener: l}, err
}

func (h *blackHole) address() string { return h.listener.Addr().String() }

// close ends every connection.
func (h *blackHole) close() {
	_ = h.listener.Close()
	if h.taken != nil {
		_ = h.taken.Close()
	}
}

// reached waits for one connection, and leaves it without an answer.
func (h *blackHole) reached(timeout time.Duration) (err error) {
	if err := h.listener.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	h.taken, err = h.listener.Accept()
	return err
}

// connections is the number of connections since the last call. They queue in order, so all that were made before stand in
// front of one of our own.
func (h *blackHole) connections(ctx context.Context) (int, error) {
	own, err := new(net.Dialer).DialContext(ctx, "tcp", h.address())
	if err != nil {
		return 0, err
	}
	defer own.Close()
	for n := 0; ; n++ {
		c, err := h.listener.Accept()
		if err != nil {
			return n, err
		}
		_ = c.Close()
		if c.RemoteAddr().String() == own.LocalAddr().String() {
			return n, nil
		}
	}
}

// deadAddress is a "host:port" where nobody listens.
func deadAddress() (string, error) {
	h, err := newBlackHole()
	if err != nil {
		return "", err
	}
	h.close()
	return h.address(), nil
}
