package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hanging is a Dial that connects once it is released, and counts.
type hanging struct {
	under, most, ended atomic.Int64
	release            chan struct{}
	address            string
}

func (h *hanging) dial(ctx context.Context, network, _ string, _ Control) (net.Conn, error) {
	n := h.under.Add(1)
	defer h.under.Add(-1)
	for {
		most := h.most.Load()
		if n <= most || h.most.CompareAndSwap(most, n) {
			break
		}
	}
	select {
	case <-h.release:
		return (&net.Dialer{}).DialContext(ctx, network, h.address)
	case <-ctx.Done():
		h.ended.Add(1)
		return nil, ctx.Err()
	}
}

func TestAFloodOfRequestsIsBounded(t *testing.T) {
	const over = 10
	address, _ := server(t)
	h := &hanging{release: make(chan struct{}), address: address}
	b := newBroker(t, Options{Dial: h.dial})
	b.Allow("main~1", reach("h:1"))
	p := connect(t, b)
	for range maxDials + maxWaiting + over {
		p.send("h:1")
	}
	for range over {
		if id, conn, text, _ := p.receive(); conn != nil || !strings.Contains(text, "too many") || id <= maxDials+maxWaiting {
			t.Fatalf("answer to %d: connected %v, %q; want that it was too many", id, conn != nil, text)
		}
	}
	close(h.release)
	for range maxDials + maxWaiting {
		id, conn, text, _ := p.receive()
		if conn == nil || id > maxDials+maxWaiting {
			t.Fatalf("answer to %d: %q, want a connection", id, text)
		}
		_ = conn.Close()
	}
	if h.most.Load() > maxDials {
		t.Errorf("%d dials were under way, want %d at most", h.most.Load(), maxDials)
	}
}

func TestAPluginThatReadsNoAnswersLosesItsSocket(t *testing.T) {
	b := New(Options{})
	b.timeout = 50 * time.Millisecond
	t.Cleanup(b.Close)
	p := connect(t, b)
	leavesNothing(t, func() { // beside the end that the test holds
		for id := 0; ; id++ {
			_, err := unix.Write(int(p.file.Fd()), fmt.Appendf(nil, "%08dh:1", id))
			if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
				return
			}
			if err != nil {
				t.Fatalf("write: %v", err)
			}
		}
	})
	p.isBroken("did not read an answer")
}

func TestWhatIsNoRequestEndsTheSocketAndIsTold(t *testing.T) {
	for name, packet := range map[string]string{"short": "1234567", "empty name": "12345678", "control characters": "12345678h:1\n", "long": strings.Repeat("x", 2000)} {
		b := newBroker(t, Options{Plugin: "bad"})
		p := connect(t, b)
		p.write(packet)
		if _, _, text, ended := p.receive(); !ended {
			t.Errorf("%s: answered %q, want the end of the socket", name, text)
		}
		p.isBroken("")
		connect(t, b).isRefused("h:1", "no open store") // another generation has its own
	}
}

func TestDescriptorsThatAPluginSendsAreDropped(t *testing.T) {
	b := newBroker(t, Options{})
	p := connect(t, b)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := unix.Sendmsg(int(p.file.Fd()), []byte("12345678h:1"), unix.UnixRights(int(w.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, _, text, ended := p.receive(); ended || !strings.HasPrefix(text, refusedWord) {
		t.Errorf("answered %q, want a refusal of the name", text)
	}
	_ = r.SetReadDeadline(time.Now().Add(patience))
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read of the pipe: %v, want that nobody holds its other end", err)
	}
}

func TestTheEndOfAGenerationCancelsItsDialsAndLeavesNothing(t *testing.T) {
	for name, end := range map[string]func(*Broker, *plugin){
		"stop":                 func(_ *Broker, p *plugin) { p.stop(); p.stop() },
		"the plugin is gone":   func(_ *Broker, p *plugin) { _ = p.file.Close() },
		"the broker is closed": func(b *Broker, _ *plugin) { b.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h := &hanging{release: make(chan struct{})}
			b := newBroker(t, Options{Dial: h.dial})
			b.Allow("main~1", reach("h:1"))
			leavesNothing(t, func() {
				p := connect(t, b)
				const all = maxDials + 5
				for range all {
					p.send("h:1")
				}
				eventually(t, "the dials are under way", func() bool { return h.under.Load() == maxDials })
				end(b, p)
				p.isWhole()
				eventually(t, "the dials have ended", func() bool { return h.ended.Load() == maxDials && h.under.Load() == 0 })
				_ = p.file.Close()
			})
		})
	}
}

func TestManyGenerationsLeaveNothing(t *testing.T) {
	address, _ := server(t)
	b := newBroker(t, Options{})
	b.Allow("main~1", reach(address))
	leavesNothing(t, func() {
		for range 100 {
			p := connect(t, b)
			p.reaches(address)
			p.isRefused("h:1", "no open store")
			p.send(address) // nobody waits for it
			p.stop()
			_ = p.file.Close()
		}
	})
}

func TestGenerationsSideBySideShareWhatIsAllowed(t *testing.T) {
	address, _ := server(t)
	b := newBroker(t, Options{})
	old, next := connect(t, b), connect(t, b)
	b.Allow("main~1", reach(address))
	old.reaches(address)
	next.reaches(address)
	old.stop()
	next.reaches(address)
	if _, _, _, ended := old.receive(); !ended {
		t.Error("a socket that was stopped is open")
	}
}

func TestAClosedBrokerConnectsNoMore(t *testing.T) {
	b := New(Options{})
	b.Close()
	leavesNothing(t, func() {
		if _, _, err := b.Connect(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Connect: %v, want closed", err)
		}
	})
}

func TestEveryRefusalIsToldAndTheFirstOfAMinuteLogged(t *testing.T) {
	var log safeBuffer
	var told atomic.Int64
	var now atomic.Int64 // nanoseconds
	b := newBroker(t, Options{Plugin: "p", Logger: slog.New(slog.NewTextHandler(&log, nil)), Refused: func(Refusal) { told.Add(1) }})
	b.log.now = func() time.Time { return time.Unix(1_800_000_000, now.Load()) }
	p := connect(t, b)
	for range 5 {
		p.isRefused("a:1", "")
		p.isRefused("b:1", "")
	}
	now.Add(int64(quiet))
	p.isRefused("a:1", "")
	if told.Load() != 11 {
		t.Errorf("told of %d refusals, want 11", told.Load())
	}
	if a, b := strings.Count(log.String(), "endpoint=a:1"), strings.Count(log.String(), "endpoint=b:1"); a != 2 || b != 1 {
		t.Errorf("logged %d and %d times, want 2 and 1:\n%s", a, b, log.String())
	}
	for i := range 3 * maxRefused {
		p.isRefused(fmt.Sprintf("made-up-%d:1", i), "")
	}
	if n := strings.Count(log.String(), "\n"); n > maxRefused+3 {
		t.Errorf("a plugin that makes up names wrote %d records", n)
	}
}
