package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// processes stand in for a supervised plugin: each generation is served in memory, and can be killed.
type processes struct {
	backend *example.Backend
	mu      sync.Mutex
	now     *process
	count   int
}

type process struct {
	conn   grpc.ClientConnInterface
	number int
	stop   func()
	done   chan struct{}
}

func (p *process) Dial() *dial.Plugin    { return dial.New(p.conn) }
func (p *process) Number() int           { return p.number }
func (p *process) Done() <-chan struct{} { return p.done }

func (p *process) Superseded() <-chan struct{}                             { return nil }
func (p *process) Admit(context.Context, string, *sdk.Reach) (bool, error) { return false, nil }
func (p *process) Dismiss(string)                                          {}

func (ps *processes) Current(context.Context) (Session, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.now == nil {
		ps.count++
		conn, stop := serve.Pipe(ps.backend.Plugin())
		ps.now = &process{conn, ps.count, stop, make(chan struct{})}
	}
	return ps.now, nil
}

// kill ends the current generation; the next call of Current starts another.
func (ps *processes) kill() {
	ps.mu.Lock()
	p := ps.now
	ps.now = nil
	ps.mu.Unlock()
	if p == nil {
		return
	}
	if c, ok := p.conn.(io.Closer); ok {
		_ = c.Close() // calls end in transport, as when a process is killed
	}
	close(p.done)
	p.stop()
}

type fixture struct {
	*Store
	ps       *processes
	settings atomic.Value // string, the JSON
	resolved atomic.Int64 // how often the settings were asked for
}

func open(t *testing.T, settings string) *fixture {
	t.Helper()
	f := &fixture{ps: &processes{backend: example.NewBackend()}}
	f.settings.Store(settings)
	table := NewTable(0)
	f.Store = table.Add(Spec{Name: "s", Provider: f.ps, Allow: ^sdk.Capabilities(0) &^ sdk.CanWatch, Logger: slog.New(slog.DiscardHandler),
		Settings: func(context.Context) (sdk.Sensitive, error) {
			f.resolved.Add(1)
			return sdk.SensitiveString(f.settings.Load().(string)), nil
		}})
	t.Cleanup(func() {
		table.Close(context.Background())
		f.ps.kill()
	})
	return f
}

// during calls f, waits until the backend has met the call, and then does what is to happen meanwhile.
func during(t *testing.T, b *example.Backend, op, name string, f func() error, meanwhile func()) error {
	t.Helper()
	before := b.CallsOf(op, name)
	result := make(chan error, 1)
	go func() { result <- f() }()
	for b.CallsOf(op, name) == before {
		time.Sleep(time.Millisecond)
	}
	meanwhile()
	return <-result
}

func TestASafeCallIsRepeatedOnceWhenItsProcessDies(t *testing.T) {
	f := open(t, `{}`)
	f.ps.backend.Set("k", "v")
	release := f.ps.backend.Hang("k")
	var got sdk.Secret
	err := during(t, f.ps.backend, "get", "k", func() (err error) {
		got, err = f.Get(t.Context(), sdk.GetRequest{Name: "k"})
		return err
	}, func() { release(); f.ps.kill() })
	if err != nil || string(got.Value.Reveal()) != "v" {
		t.Errorf("a read whose process died: %v, want its value from the next one", err)
	}
}

func TestAConditionalWriteIsNotRepeated(t *testing.T) {
	f := open(t, `{}`)
	release := f.ps.backend.Hang("k")
	r := sdk.PutRequest{Name: "k", Value: sdk.SensitiveString("v"), If: sdk.IfAbsent()}
	err := during(t, f.ps.backend, "put", "k", func() error { _, err := f.Put(t.Context(), r); return err }, f.ps.kill)
	release()
	if !errors.Is(err, sdk.Unavailable) {
		t.Errorf("a conditional write whose process died: %v, want unavailable", err)
	}
	if n := f.ps.backend.CallsOf("put", "k"); n != 1 {
		t.Errorf("%d writes, want 1: the second could lose against the first", n)
	}
}

func TestARefusedLoginReadsTheCredentialsAnewOnceAMinute(t *testing.T) {
	f := open(t, `{"token": "old", "require_token": "new"}`)
	f.ps.backend.Set("k", "v")
	get := func() error { _, err := f.Get(t.Context(), sdk.GetRequest{Name: "k"}); return err }
	for range 5 {
		if err := get(); !errors.Is(err, sdk.Unauthenticated) {
			t.Fatalf("a read with a token that is refused: %v, want unauthenticated", err)
		}
	}
	if n := f.resolved.Load(); n != 2 {
		t.Errorf("the settings were resolved %d times, want 2: to open, and once for five refusals", n)
	}
	f.settings.Store(`{"token": "new", "require_token": "new"}`)
	f.renewal = nil // a minute has passed
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := get(); err != nil {
				t.Errorf("a read after the credential changed: %v, want the store opened anew and the value", err)
			}
		})
	}
	wg.Wait()
	if n := f.resolved.Load(); n != 4 {
		t.Errorf("the settings were resolved %d times, want 2 more: to see that they changed, and to open", n)
	}
}

func TestAStoreIsRenewedOnceForAChangeThatIsToldTwice(t *testing.T) {
	f := open(t, `{"prefix": "a"}`)
	f.ps.backend.Set("ak", "v")
	if _, err := f.Get(t.Context(), sdk.GetRequest{Name: "k"}); err != nil {
		t.Fatal(err)
	}
	if changed, err := f.Renew(t.Context()); changed || err != nil {
		t.Errorf("Renew with the same settings = %v, %v, want nothing done", changed, err)
	}
	f.settings.Store(`{"prefix": "b"}`)
	for _, want := range []bool{true, false} {
		if changed, err := f.Renew(t.Context()); changed != want || err != nil {
			t.Errorf("Renew = %v, %v, want %v", changed, err, want)
		}
	}
}

func TestNewSettingsFlipWithoutAFailedRead(t *testing.T) {
	f := open(t, `{"prefix": "a"}`)
	for i := range 10 {
		f.ps.backend.Set(fmt.Sprintf("%ck", 'a'+i), "v")
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := f.Get(t.Context(), sdk.GetRequest{Name: "k"}); err != nil {
					t.Errorf("a read while the store was opened anew: %v", err)
					return
				}
			}
		})
	}
	for i := range 10 {
		f.settings.Store(fmt.Sprintf(`{"prefix": "%c"}`, 'a'+i))
		if err := f.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	f.settings.Store(`{"nonsense": 1}`)
	if err := f.Reopen(t.Context()); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("Reopen with settings that the plugin refuses: %v, want invalid argument", err)
	}
	if _, err := f.Get(t.Context(), sdk.GetRequest{Name: "k"}); err != nil {
		t.Errorf("the old opening did not serve on after a failed Reopen: %v", err)
	}
}

func TestWhileABackendIsDownOneRefreshOfEachIntervalAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		if err := h.refuse(); err != nil {
			t.Errorf("a healthy backend: %v", err)
		}
		down := sdk.Errorf(sdk.Unavailable, "refused")
		h.down(down)
		asked := 0
		for range 100 { // ten seconds of refreshes, all of which fail
			time.Sleep(100 * time.Millisecond)
			if err := h.refuse(); err == nil {
				asked++
				h.down(down)
			} else if !errors.Is(err, sdk.Unavailable) {
				t.Fatalf("refused with %v, want unavailable", err)
			}
		}
		if asked < 2 || asked > 10 {
			t.Errorf("%d of 100 refreshes asked a dead backend in 10 s, want a few", asked)
		}
		h.up()
		if err := h.refuse(); err != nil {
			t.Errorf("after an answer: %v", err)
		}
	})
}
