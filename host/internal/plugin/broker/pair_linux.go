package broker

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pair makes the two ends: the host's through the poller, the plugin's blocking, as any language expects it.
func pair() (host *net.UnixConn, plugin *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	plugin = os.NewFile(uintptr(fds[1]), "dial-socket")
	f := os.NewFile(uintptr(fds[0]), "dial-socket-host")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		_ = plugin.Close()
		return nil, nil, err
	}
	host, ok := conn.(*net.UnixConn)
	if !ok {
		_, _ = conn.Close(), plugin.Close()
		return nil, nil, fmt.Errorf("socketpair: %T is not a Unix socket", conn)
	}
	return host, plugin, nil
}

// hand sends a packet with the socket of a connection.
func hand(to *net.UnixConn, packet []byte, conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = to.WriteMsgUnix(packet, unix.UnixRights(int(fd)), nil)
	})
	if err != nil {
		return err
	}
	return sent
}
