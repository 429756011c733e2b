package attempt

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func network() []Attempt {
	return []Attempt{
		{Name: "connect by TCP", Host: true, Do: func(t Targets) error { return connect(unix.IPPROTO_TCP, t.TCP) }},
		{Name: "connect by MPTCP", Host: true, Do: func(t Targets) error { return connect(unix.IPPROTO_MPTCP, t.TCP) }},
		{Name: "connect by TCP fast open", Host: true, Do: fastOpen},
		{Name: "listen on a TCP port", Host: true, Do: func(Targets) error {
			l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return l.Close()
		}},
		{Name: "listen on a UDP port", Host: true, Do: func(Targets) error {
			c, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return c.Close()
		}},
		{Name: "send by UDP", Host: true, Do: func(t Targets) error { return send("udp", t.UDP) }},
		{Name: "ask a name server", Host: true, Do: ask},
		{Name: "connect to a Unix socket by path", Host: true, Do: func(t Targets) error { return send("unix", t.Unix) }},
		{Name: "connect to an abstract Unix socket", Host: true, Do: func(t Targets) error { return send("unix", t.Abstract) }},
		{Name: "send to a Unix socket without connecting", Host: true, Do: func(t Targets) error {
			return withSocket(unix.AF_UNIX, unix.SOCK_DGRAM, 0, func(fd int) error {
				return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: t.Datagram})
			})
		}},
		{Name: "send through one of a pair of Unix sockets", Host: true, Do: sendByPair},
		{Name: "list the machine's addresses", Host: true, Do: func(Targets) error { _, err := net.Interfaces(); return err }},
		{Name: "open a raw socket", Root: true, Host: true, Do: func(Targets) error {
			return withSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, func(int) error { return nil })
		}},
		{Name: "open a packet socket", Root: true, Host: true, Do: func(Targets) error {
			return withSocket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(int) error { return nil })
		}},
	}
}

func withSocket(family, kind, protocol int, do func(fd int) error) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

func sockaddr(address string) (*unix.SockaddrInet4, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
}

func connect(protocol int, address string) error {
	to, err := sockaddr(address)
	if err != nil {
		return err
	}
	return withSocket(unix.AF_INET, unix.SOCK_STREAM, protocol, func(fd int) error { return unix.Connect(fd, to) })
}

func fastOpen(t Targets) error {
	to, err := sockaddr(t.TCP)
	if err != nil {
		return err
	}
	return withSocket(unix.AF_INET, unix.SOCK_STREAM, 0, func(fd int) error { return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to) })
}

func send(network, address string) error {
	c, err := new(net.Dialer).DialContext(context.Background(), network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	return err
}

// ask succeeds when the question has left, since nobody answers it here.
func ask(t Targets) error {
	var asked atomic.Bool // both kinds of address are asked for at a time
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		err := send("udp", t.UDP)
		if err == nil {
			asked.Store(true)
			err = context.Canceled
		}
		return nil, err
	}}
	_, err := r.LookupHost(context.Background(), "name.example")
	if asked.Load() {
		return nil
	}
	return err
}

// sendByPair uses a socket that was never opened by itself.
func sendByPair(t Targets) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	return unix.Sendto(pair[0], []byte("x"), 0, &unix.SockaddrUnix{Name: t.Datagram})
}
