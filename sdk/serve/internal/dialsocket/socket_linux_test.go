package dialsocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

const patience = 30 * time.Second

// host is the other end, played by the test.
type host struct {
	t  *testing.T
	fd int // blocking, with patience
}

func open(t *testing.T) (*Socket, *host) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !isDialSocket(fds[1]) {
		t.Fatal("one end of a pair of packet sockets is not taken for a dial socket")
	}
	s, err := take(os.NewFile(uintptr(fds[1]), "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, fd: fds[0]}
	t.Cleanup(h.close)
	return s, h
}

func (h *host) close() {
	if h.fd >= 0 {
		_ = unix.Close(h.fd)
		h.fd = -1
	}
}

// next reads one request.
func (h *host) next() (id []byte, address string) {
	h.t.Helper()
	buf := make([]byte, 1024)
	n, err := unix.Read(h.fd, buf)
	for errors.Is(err, unix.EINTR) { // a call with a timeout is not resumed after a signal
		n, err = unix.Read(h.fd, buf)
	}
	if err != nil || n < idSize {
		h.t.Fatalf("the host read %d bytes: %v", n, err)
	}
	return buf[:idSize], string(buf[idSize:n])
}

func (h *host) answer(id []byte, text string, fds ...int) {
	h.t.Helper()
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(h.fd, append(id, text...), rights, nil, 0); err != nil {
		h.t.Fatal(err)
	}
}

// connected makes two ends of a TCP connection; the first as a descriptor.
func connected(t *testing.T) (fd int, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	f, err := near.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return int(f.Fd()), far
}

type result struct {
	conn net.Conn
	err  error
}

func (s *Socket) dialing(ctx context.Context, network, address string) <-chan result {
	c := make(chan result, 1)
	go func() {
		conn, err := s.DialContext(ctx, network, address)
		c <- result{conn, err}
	}()
	return c
}

func get(t *testing.T, c <-chan result) result {
	t.Helper()
	select {
	case r := <-c:
		if r.conn != nil {
			t.Cleanup(func() { _ = r.conn.Close() })
		}
		return r
	case <-time.After(patience):
		t.Fatal("a dial has not returned")
		return result{}
	}
}

// ends waits until the other end of a connection is closed everywhere.
func ends(t *testing.T, far net.Conn) {
	t.Helper()
	_ = far.SetReadDeadline(time.Now().Add(patience))
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read from the far end: %v, want that the connection was closed", err)
	}
}

func TestADialGivesAWorkingConnection(t *testing.T) {
	s, h := open(t)
	c := s.dialing(t.Context(), "tcp", "vault.example.com:8200")
	id, address := h.next()
	if address != "vault.example.com:8200" {
		t.Errorf("the host was asked for %q", address)
	}
	fd, far := connected(t)
	h.answer(id, "", fd)
	r := get(t, c)
	if _, ok := r.conn.(*net.TCPConn); !ok || r.err != nil {
		t.Fatalf("dial gave %T, %v, want a TCP connection", r.conn, r.err)
	}
	if _, err := io.WriteString(r.conn, "hi"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "hi" {
		t.Errorf("the far end read %q, %v", got, err)
	}
	if err := r.conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	if _, err := r.conn.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) { // else it would take a thread
		t.Errorf("a read past its deadline: %v", err)
	}
	raw, _ := r.conn.(*net.TCPConn).SyscallConn()
	_ = raw.Control(func(fd uintptr) {
		alive, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		flags, _ := unix.FcntlInt(fd, unix.F_GETFD, 0)
		if err != nil || alive == 0 || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("keep-alive %d, %v, descriptor flags %d; want keep-alive and close-on-exec", alive, err, flags)
		}
	})
}

func TestAnswersGoToWhoeverAsked(t *testing.T) {
	s, h := open(t)
	asked := map[string]<-chan result{}
	ids := map[string][]byte{}
	for _, a := range []string{"a:1", "b:1", "c:1"} {
		asked[a] = s.dialing(t.Context(), "tcp", a)
		id, address := h.next()
		ids[address] = append([]byte(nil), id...)
	}
	for _, a := range []string{"b:1", "c:1", "a:1"} {
		h.answer(ids[a], "no "+a)
		if r := get(t, asked[a]); r.err == nil || !strings.HasSuffix(r.err.Error(), "no "+a) {
			t.Errorf("dial %s: %v, want its own answer", a, r.err)
		}
	}
}

func TestTheHostsRefusalIsAPermissionDenied(t *testing.T) {
	s, h := open(t)
	c := s.dialing(t.Context(), "tcp", "evil.example:443")
	id, _ := h.next()
	h.answer(id, "refused: no open store declares it")
	var e *sdk.Error
	if err := get(t, c).err; !errors.As(err, &e) || e.Code != sdk.PermissionDenied || e.Reason != "reach" ||
		e.Message != "dial evil.example:443: no open store declares it" {
		t.Errorf("dial: %v, want the host's words as a refusal", err)
	}
}

func TestAFailedDialLooksLikeOnesOwn(t *testing.T) {
	s, h := open(t)
	c := s.dialing(t.Context(), "tcp", "vault.example:8200")
	id, _ := h.next()
	h.answer(id, "10.0.0.1:8200: connection refused")
	err := get(t, c).err
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || sdk.CodeOf(err) != sdk.Unavailable ||
		err.Error() != "dial tcp vault.example:8200: 10.0.0.1:8200: connection refused" {
		t.Errorf("dial: %v, want net's form of it, unavailable", err)
	}
}

func TestWhatNoHostTakesIsNotSent(t *testing.T) {
	s, h := open(t)
	for _, d := range [][2]string{{"udp", "h:53"}, {"unix", "/run/docker.sock"}, {"ip4:icmp", "h"}, {"tcp", ""}, {"tcp", "a b:1"}, {"tcp", "h:1\n"},
		{"tcp", "é:1"}, {"tcp", strings.Repeat("x", maxEndpoint) + ":1"}} {
		_, err := s.DialContext(t.Context(), d[0], d[1])
		if sdk.CodeOf(err) != sdk.PermissionDenied || strings.Contains(err.Error(), "\n") {
			t.Errorf("dial %q: %v, want a refusal in one line", d, err)
		}
	}
	s.dialing(t.Context(), "tcp6", "last:1")
	if _, address := h.next(); address != "last:1" {
		t.Errorf("the host was asked for %q", address)
	}
}

func TestACancelledDialReturnsAndLeavesNoConnection(t *testing.T) {
	s, h := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := s.dialing(ctx, "tcp", "slow:1")
	id, _ := h.next()
	cancel()
	if err := get(t, c).err; !errors.Is(err, context.Canceled) {
		t.Errorf("dial: %v, want canceled", err)
	}
	fd, far := connected(t)
	h.answer(id, "", fd)
	_ = unix.Close(fd)
	ends(t, far)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) != 0 {
		t.Errorf("%d requests still wait", len(s.waiting))
	}
}

// The answer and the end of the context meet: whoever gets the connection closes it, or returns it.
func TestACancellationThatMeetsTheAnswerLeavesNoConnection(t *testing.T) {
	s, h := open(t)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		c := s.dialing(ctx, "tcp", "h:1")
		id, _ := h.next()
		fd, far := connected(t)
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() { h.answer(id, "", fd) })
		both.Wait()
		_ = unix.Close(fd)
		if r := get(t, c); r.err == nil {
			_ = r.conn.Close()
		}
		ends(t, far)
	}
}

func TestADialThatCannotEvenBeSentEndsWithItsContext(t *testing.T) {
	s, h := open(t)
	if err := s.conn.SetWriteBuffer(4 << 10); err != nil { // room for a few requests
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all []<-chan result
	for range 100 {
		all = append(all, s.dialing(ctx, "tcp", "h:1")) // the host reads none
	}
	h.next()
	cancel()
	for _, c := range all {
		if err := get(t, c).err; !errors.Is(err, context.Canceled) {
			t.Fatalf("dial: %v, want canceled", err)
		}
	}
	last := s.dialing(t.Context(), "tcp", "last:1") // the socket works as before
	for {
		id, address := h.next()
		if address == "last:1" {
			h.answer(id, "bye")
			break
		}
	}
	if err := get(t, last).err; sdk.CodeOf(err) != sdk.Unavailable {
		t.Errorf("dial: %v, want the answer", err)
	}
}

func TestDialsFailOnceTheHostHasClosed(t *testing.T) {
	s, h := open(t)
	c := s.dialing(t.Context(), "tcp", "h:1")
	h.next()
	h.close()
	for _, err := range []error{get(t, c).err, get(t, s.dialing(t.Context(), "tcp", "h:1")).err} {
		if sdk.CodeOf(err) != sdk.Unavailable || !strings.Contains(err.Error(), "closed the dial socket") {
			t.Errorf("dial: %v, want that the host has closed the socket", err)
		}
	}
}

func TestAnAnswerWithSomethingElseThanASocketIsAnError(t *testing.T) {
	s, h := open(t)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	one, _ := connected(t)
	two, _ := connected(t)
	for name, fds := range map[string][]int{"a file": {int(file.Fd())}, "two sockets": {one, two}, "more than there is room for": {one, two, one, two, one}} {
		c := s.dialing(t.Context(), "tcp", "h:1")
		id, _ := h.next()
		h.answer(id, "", fds...)
		if r := get(t, c); r.err == nil || sdk.CodeOf(r.err) != sdk.Unavailable {
			t.Errorf("%s: %v, want unavailable", name, r.err)
		}
	}
}

func TestOtherDescriptorsAreNotTakenForADialSocket(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stream, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tcp, _ := connected(t)
	for name, fd := range map[string]int{"an image": int(file.Fd()), "a stream": stream[0], "a connection": tcp, "nothing": 1 << 20} {
		if isDialSocket(fd) {
			t.Errorf("%s is taken for a dial socket", name)
		}
	}
	_, _ = unix.Close(stream[0]), unix.Close(stream[1])
}
