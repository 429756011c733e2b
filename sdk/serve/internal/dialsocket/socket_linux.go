package dialsocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

// Socket dials through the host. It is safe for concurrent use and lives as long as the process.
type Socket struct {
	conn    *net.UnixConn
	writing chan struct{} // holds a token while somebody writes

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan<- answer
	ended   error // set once the host's end is closed
}

// answer is what the host says to a request. Its channel has room for it.
type answer struct {
	conn net.Conn
	err  error
}

// Open takes the dial socket, descriptor 3, where the host has given one. It is called once, before anything else may have
// opened that descriptor.
func Open() (*Socket, bool) {
	if !isDialSocket(descriptor) {
		return nil, false
	}
	s, err := take(os.NewFile(descriptor, "dial-socket"))
	return s, err == nil
}

func isDialSocket(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return false
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_SEQPACKET
}

// take makes a Socket of one end of a pair, and closes the file.
func take(f *os.File) (*Socket, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("%T is not a Unix socket", conn)
	}
	s := &Socket{conn: u, writing: make(chan struct{}, 1), waiting: map[uint64]chan<- answer{}}
	go s.read()
	return s, nil
}

// DialContext has the host connect to "host:port". Its errors are an *sdk.Error with PermissionDenied and the reason "reach"
// where the host does not allow it, else a *net.OpError: one that holds an *sdk.Error with Unavailable where there is no
// connection, or the context's error. The connection is a *net.TCPConn. A network other than tcp, tcp4 and tcp6 is not
// allowed; the last two mean the first.
func (s *Socket) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := checkAddress(network, address); err != nil {
		return nil, err
	}
	conn, err := s.ask(ctx, address)
	var no refusal
	switch {
	case err == nil:
		return conn, nil
	case errors.As(err, &no):
		return nil, refused(address, string(no))
	}
	return nil, dialError(network, address, err)
}

// ask makes one request. When it gives up the answer may be on its way, or here.
func (s *Socket) ask(ctx context.Context, address string) (net.Conn, error) {
	id, answered, err := s.expect()
	if err != nil {
		return nil, err
	}
	err = s.send(ctx, append(binary.LittleEndian.AppendUint64(nil, id), address...))
	if err == nil {
		select {
		case a := <-answered:
			return a.conn, a.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if s.forget(id) {
		return nil, err
	}
	if a := <-answered; a.conn != nil {
		_ = a.conn.Close()
	}
	return nil, err
}

// expect announces a request.
func (s *Socket) expect() (uint64, <-chan answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return 0, nil, s.ended
	}
	s.last++
	c := make(chan answer, 1)
	s.waiting[s.last] = c
	return s.last, c, nil
}

// forget gives a request up and reports whether it was still waiting. Otherwise its answer is in its channel, or will be.
func (s *Socket) forget(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, waiting := s.waiting[id]
	delete(s.waiting, id)
	return waiting
}

// send writes a packet. One caller writes at a time, so that the deadline is its own.
func (s *Socket) send(ctx context.Context, packet []byte) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = s.conn.SetWriteDeadline(time.Unix(1, 0))
	})
	_, err := s.conn.Write(packet)
	if !stop() {
		<-interrupted
		_ = s.conn.SetWriteDeadline(time.Time{})
		return ctx.Err()
	}
	if err != nil {
		return errClosed()
	}
	return nil
}

func errClosed() error {
	return sdk.Errorf(sdk.Unavailable, "the host has closed the dial socket; no connection can be made until it starts this plugin anew")
}

// read gives answers to those who wait for them until the host's end is closed.
func (s *Socket) read() {
	text, control := make([]byte, idSize+maxText), make([]byte, unix.CmsgSpace(4))
	for {
		n, oob, flags, _, err := s.conn.ReadMsgUnix(text, control)
		if err != nil || n < idSize {
			s.end()
			return
		}
		a := decode(text[idSize:n], control[:oob], flags)
		id := binary.LittleEndian.Uint64(text)
		s.mu.Lock()
		c := s.waiting[id]
		delete(s.waiting, id)
		s.mu.Unlock()
		if c != nil {
			c <- a
			continue
		}
		if a.conn != nil { // whoever asked has given up
			_ = a.conn.Close()
		}
	}
}

// end fails all requests, now and later.
func (s *Socket) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = errClosed()
	for id, c := range s.waiting {
		c <- answer{err: s.ended}
		delete(s.waiting, id)
	}
	_ = s.conn.Close()
}

// refusal is an answer that begins with refusedWord: why the host does not allow a connection.
type refusal string

func (r refusal) Error() string { return string(r) }

const refusedWord = "refused: "

// decode reads an answer: a socket, or why there is none.
func decode(text, control []byte, flags int) answer {
	fds, err := descriptors(control)
	switch {
	case err == nil && len(fds) == 1 && flags&unix.MSG_CTRUNC == 0:
		return connection(fds[0])
	case flags&unix.MSG_CTRUNC != 0:
		err = sdk.Errorf(sdk.Unavailable, "the connection could not be received; this process has too many open descriptors")
	case err != nil || len(fds) > 1:
		err = sdk.Errorf(sdk.Unavailable, "the host answered something other than one socket")
	default:
		if why, ok := strings.CutPrefix(string(text), refusedWord); ok {
			return answer{err: refusal(why)}
		}
		return answer{err: sdk.Errorf(sdk.Unavailable, "%s", text)}
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return answer{err: err}
}

// connection makes a connection of a socket: non-blocking, with keep-alive.
func connection(fd int) answer {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return answer{err: sdk.Errorf(sdk.Unavailable, "the connection that the host made cannot be used: %w", err)}
	}
	return answer{conn: conn}
}

func descriptors(control []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return all, err
		}
		all = append(all, fds...)
	}
	return all, nil
}
