package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

const patience = 30 * time.Second

// newBroker makes a broker whose bounds do not show on a slow machine.
func newBroker(t *testing.T, o Options) *Broker {
	t.Helper()
	b := New(o)
	b.timeout = patience
	t.Cleanup(b.Close)
	return b
}

// plugin is a plugin's end, which speaks the protocol by hand.
type plugin struct {
	t    *testing.T
	file *os.File
	stop func()
	id   uint64
	// broken gets what the host takes for a breach of the rules.
	broken chan error
}

func connect(t *testing.T, b *Broker) *plugin {
	t.Helper()
	broken := make(chan error, 2)
	file, stop, err := b.Connect(func(err error) { broken <- err })
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(file.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = file.Close() })
	return &plugin{t: t, file: file, stop: stop, broken: broken}
}

func (p *plugin) write(packet string) {
	p.t.Helper()
	if _, err := unix.Write(int(p.file.Fd()), []byte(packet)); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *plugin) send(endpoint string) uint64 {
	p.t.Helper()
	p.id++
	p.write(string(binary.NativeEndian.AppendUint64(nil, p.id)) + endpoint)
	return p.id
}

// receive reads one answer. ended says that the host has closed its end.
func (p *plugin) receive() (id uint64, conn net.Conn, text string, ended bool) {
	p.t.Helper()
	buf, control := make([]byte, 1024), make([]byte, unix.CmsgSpace(4))
	n, oob, _, _, err := unix.Recvmsg(int(p.file.Fd()), buf, control, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) { // a call with a timeout is not resumed after a signal
		n, oob, _, _, err = unix.Recvmsg(int(p.file.Fd()), buf, control, unix.MSG_CMSG_CLOEXEC)
	}
	if n == 0 && err == nil || errors.Is(err, unix.ECONNRESET) {
		return 0, nil, "", true
	}
	if err != nil || n < idSize {
		p.t.Fatalf("an answer of %d bytes: %v", n, err)
	}
	id, text = binary.NativeEndian.Uint64(buf), string(buf[idSize:n])
	if oob == 0 {
		return id, nil, text, false
	}
	m, err := unix.ParseSocketControlMessage(control[:oob])
	if err != nil {
		p.t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&m[0])
	if err != nil || len(fds) != 1 {
		p.t.Fatalf("descriptors %v: %v", fds, err)
	}
	f := os.NewFile(uintptr(fds[0]), "connection")
	defer f.Close()
	if conn, err = net.FileConn(f); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return id, conn, text, false
}

// dial asks for one connection and waits for the answer.
func (p *plugin) dial(endpoint string) (net.Conn, string) {
	p.t.Helper()
	want := p.send(endpoint)
	id, conn, text, ended := p.receive()
	if id != want || ended {
		p.t.Fatalf("dial %s: answer to %d, ended %v; want one to %d", endpoint, id, ended, want)
	}
	return conn, text
}

// reaches expects a connection to a server that greets.
func (p *plugin) reaches(endpoint string) {
	p.t.Helper()
	conn, text := p.dial(endpoint)
	if conn == nil {
		p.t.Errorf("dial %s: %q, want a connection", endpoint, text)
		return
	}
	defer conn.Close()
	greeted(p.t, conn)
}

// isRefused expects a refusal that holds the words.
func (p *plugin) isRefused(endpoint, words string) {
	p.t.Helper()
	conn, text := p.dial(endpoint)
	if conn != nil || !strings.HasPrefix(text, refusedWord) || !strings.Contains(text, words) {
		p.t.Errorf("dial %s: connected %v, %q; want a refusal with %q", endpoint, conn != nil, text, words)
	}
}

// isBroken expects that the host was told, once, of a breach with the words.
func (p *plugin) isBroken(words string) {
	p.t.Helper()
	select {
	case err := <-p.broken:
		if err == nil || !strings.Contains(err.Error(), words) {
			p.t.Errorf("told of %v, want %q", err, words)
		}
	case <-time.After(patience):
		p.t.Errorf("nobody was told of the breach, want %q", words)
	}
	p.isWhole()
}

// isWhole expects that nobody was told of a breach.
func (p *plugin) isWhole() {
	p.t.Helper()
	select {
	case err := <-p.broken:
		p.t.Errorf("told of a breach: %v", err)
	default:
	}
}

const greeting = "hello"

func greeted(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, len(greeting))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != greeting {
		t.Errorf("the server said %q, %v, want %q", b, err, greeting)
	}
}

// server greets whoever connects and then closes.
func server(t *testing.T) (address, port string) {
	t.Helper()
	return listen(t, func(c net.Conn) { _, _ = io.WriteString(c, greeting) })
}

// listen serves each connection with f, and closes it afterwards.
func listen(t *testing.T, f func(net.Conn)) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { f(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port
}

func reach(endpoints ...string) *sdk.Reach { return &sdk.Reach{Endpoints: endpoints} }

// pretend is a Dial that says it connects to an address and connects to a server of ours.
func pretend(address, server string) func(context.Context, string, string, Control) (net.Conn, error) {
	return func(ctx context.Context, network, _ string, control Control) (net.Conn, error) {
		if control != nil {
			if err := control(ctx, network, address, nil); err != nil {
				return nil, &net.OpError{Op: "dial", Net: network, Err: err}
			}
		}
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}
}

// zone is a DNS server that answers every name with the same addresses.
type zone struct{ addrs atomic.Pointer[[]netip.Addr] }

func (z *zone) set(addrs ...string) {
	var all []netip.Addr
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	z.addrs.Store(&all)
}

// dialer is a Dial that asks the zone.
func (z *zone) dialer(t *testing.T) func(context.Context, string, string, Control) (net.Conn, error) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); z.serve(conn) }()
	t.Cleanup(func() { _ = conn.Close(); <-served })
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	return func(ctx context.Context, network, address string, control Control) (net.Conn, error) {
		return (&net.Dialer{Resolver: r, ControlContext: control}).DialContext(ctx, network, address)
	}
}

func (z *zone) serve(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
		q := m.Questions[0]
		for _, a := range *z.addrs.Load() {
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
			switch {
			case q.Type == dnsmessage.TypeA && a.Is4():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
			case q.Type == dnsmessage.TypeAAAA && a.Is6():
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		if raw, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(raw, from)
		}
	}
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never came true: %s", what)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// leavesNothing runs f and waits until as many goroutines and descriptors are there as before.
func leavesNothing(t *testing.T, f func()) {
	t.Helper()
	_, _ = listen(t, nil) // the poller's own descriptors stay
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	f()
	eventually(t, "nothing is left", func() bool { return runtime.NumGoroutine() <= goroutines && descriptors(t) <= fds })
}

// safeBuffer is a buffer that loggers of several goroutines write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
