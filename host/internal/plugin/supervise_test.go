package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func TestCurrentStartsOnDemandAndStays(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	if s := p.Status(); s.State != Idle || s.PID != 0 {
		t.Errorf("before the first call: %+v, want idle", s)
	}
	g, err := p.Current(t.Context())
	if err != nil {
		t.Fatalf("Current: %v", err)
	}
	again, err := p.Current(t.Context())
	if again != g || err != nil {
		t.Errorf("Current again = %p, %v, want the same generation %p", again, err, g)
	}
	s := p.Status()
	if s.State != Ready || s.PID != g.PID() || s.Generation != 1 || s.Restarts != 0 || s.Version != "1.0.0" || s.LastError != nil {
		t.Errorf("Status = %+v, want ready with process %d and version 1.0.0", s, g.PID())
	}
	if m := g.Manifest(); g.Number() != 1 || m.Name != "fake" {
		t.Errorf("generation %d of %q, want 1 of fake", g.Number(), m.Name)
	}
}

func TestACrashIsReplacedAtOnce(t *testing.T) {
	for _, how := range []string{"exit", "panic", "deaf"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t, "")
			p := f.supervise()
			g, err := p.Current(t.Context())
			if err != nil {
				t.Fatalf("Current: %v", err)
			}
			if err := get(t.Context(), g, "s~1", how); !dial.IsTransport(err) {
				t.Fatalf("a call that ends the plugin: %v, want a failure in transport", err)
			}
			next, err := p.After(t.Context(), g)
			if err != nil || next == g || next.Number() != 2 {
				t.Fatalf("After = generation %v, %v, want the second", next, err)
			}
			if err := get(t.Context(), next, "s~2", "value"); err != nil {
				t.Errorf("Get after the restart: %v", err)
			}
			s := p.Status()
			if s.Restarts != 1 || !errors.Is(s.LastError, ErrEnded) {
				t.Errorf("Status = %+v, want one restart and why", s)
			}
			if want := map[string]string{"exit": "exit status 3; it printed: asked to exit", "panic": "panic: index out of range", "deaf": errLost.Error()}[how]; !strings.Contains(s.LastError.Error(), want) {
				t.Errorf("last error %q does not say %q", s.LastError, want)
			}
		})
	}
}

func TestConcurrentCallersSurviveCrashes(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	var callers sync.WaitGroup
	errs := make(chan error, 16)
	const crashes = 5
	for caller := range 16 {
		callers.Go(func() {
			for n := 0; p.Status().Generation <= crashes; n++ {
				if err := survive(t.Context(), p, fmt.Sprintf("s%d~%d", caller, n)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for i := range crashes {
		eventually(t, "the next generation is ready", func() bool {
			s := p.Status()
			return s.State == Ready && s.Generation == i+1
		})
		g, err := p.Current(t.Context())
		if err != nil {
			t.Fatalf("Current: %v", err)
		}
		_ = get(t.Context(), g, "crash~1", "exit")
		<-g.Done()
	}
	callers.Wait()
	close(errs)
	for err := range errs {
		t.Errorf("a caller failed: %v", err)
	}
}

// survive reads a value, and once more on the next generation for each one that ends under it.
func survive(ctx context.Context, p *Process, handle string) error {
	g, err := p.Current(ctx)
	for range 10 {
		if err != nil {
			return err
		}
		if err := get(ctx, g, handle, "value"); err == nil || !dial.IsTransport(err) {
			return err
		}
		g, err = p.After(ctx, g)
	}
	return errors.New("ten generations ended under one call")
}

func TestAFailedStartIsToldAndTriedAgain(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	if err := os.Remove(f.plugin); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			_, err := p.Current(t.Context())
			wantFault(t, err, sdk.FailedPrecondition, fs.ErrNotExist, "is not running", f.plugin)
			var e *sdk.Error
			if !errors.As(err, &e) || e.RetryAfter <= 0 {
				t.Errorf("%v does not tell when to come again", err)
			}
		})
	}
	waiting.Wait()
	if s := p.Status(); s.LastError == nil {
		t.Errorf("Status = %+v, want the reason", s)
	}
	f.install()
	eventually(t, "the plugin runs once its file is there", func() bool {
		_, err := p.Current(t.Context())
		return err == nil
	})
}

func TestABrokenPluginFailsItsCallersAtOnce(t *testing.T) {
	f := newFixture(t, "crash")
	p := f.supervise()
	eventually(t, "the pause is longer than callers wait", func() bool {
		s := p.Status()
		_, err := p.Current(t.Context())
		wantFault(t, err, sdk.Unavailable, ErrEnded, "no licence file")
		return s.State == Backoff && time.Until(s.RetryAt) > tolerated
	})
	if s := p.Status(); s.Restarts < 3 || len(s.StderrTail) == 0 {
		t.Errorf("Status = %+v, want several restarts and what it printed", s)
	}
}

func TestCurrentEndsWithItsContext(t *testing.T) {
	f := newFixture(t, "hang")
	p := f.supervise()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Current(ctx)
	wantFault(t, err, sdk.DeadlineExceeded, context.DeadlineExceeded, "not ready yet")
	if s := p.Status(); s.State != Starting {
		t.Errorf("state %q, want a start that goes on without its caller", s.State)
	}
}

func TestStopIsForGood(t *testing.T) {
	f := newFixture(t, "")
	for name, prepare := range map[string]func(p *Process){
		"idle":  func(*Process) {},
		"ready": func(p *Process) { _, _ = p.Current(t.Context()) },
		"starting": func(p *Process) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = p.Current(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.Supervise(f.binary(), Cell{})
			prepare(p)
			var stops sync.WaitGroup
			for range 3 {
				stops.Go(func() {
					if err := p.Stop(t.Context()); err != nil {
						t.Errorf("Stop: %v", err)
					}
				})
			}
			stops.Wait()
			_, err := p.Current(t.Context())
			wantFault(t, err, sdk.Unavailable, ErrStopped)
			if s := p.Status(); s.State != Stopped || s.PID != 0 {
				t.Errorf("Status = %+v, want stopped", s)
			}
		})
	}
}

func TestStopWithoutTimeKills(t *testing.T) {
	f := newFixture(t, "stubborn")
	p := f.Supervise(f.binary(), Cell{})
	if _, err := p.Current(t.Context()); err != nil {
		t.Fatalf("Current: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantFault(t, p.Stop(ctx), sdk.Canceled, context.Canceled, "killed")
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop again: %v", err)
	}
}

// After waits for the end of a generation on which a call failed in transport, and gives its successor.
func (p *Process) After(ctx context.Context, failed *Generation) (*Generation, error) {
	select {
	case <-failed.gone:
		return p.Current(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
