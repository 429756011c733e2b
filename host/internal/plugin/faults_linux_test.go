package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// asked waits until the plugin was probed so many times.
func asked(t *testing.T, g *Generation, times int) {
	t.Helper()
	eventually(t, "the plugin was probed", func() bool {
		return strings.Count(strings.Join(g.tail.Lines(), "\n"), "asked again") >= times
	})
}

func TestAPluginThatHangsOrLiesIsReplaced(t *testing.T) {
	for mode, want := range map[string]error{"hangs": errHung, "lies": ErrIdentity} {
		t.Run(mode, func(t *testing.T) {
			f := newFixture(t, mode)
			f.probing = probing{every: 10 * time.Millisecond, timeout: 100 * time.Millisecond, misses: 3}
			p := f.supervise()
			g := current(t, p)
			<-g.gone
			eventually(t, "it is started again", func() bool { return p.Status().Restarts > 0 })
			if got := p.Status().LastError; !errors.Is(got, ErrEnded) || !strings.Contains(got.Error(), want.Error()) {
				t.Errorf("it was ended with %v, want %v", got, want)
			}
		})
	}
}

func TestAPluginThatAnswersLateIsLeftAlone(t *testing.T) {
	f := newFixture(t, "slow")
	f.probing = probing{every: time.Millisecond, timeout: 200 * time.Millisecond, misses: 150}
	g := current(t, f.supervise())
	asked(t, g, 4)
	if g.lost() {
		t.Errorf("it was ended: %v", g.run.refusal())
	}
}

func TestAPluginThatAnswersOtherCallsIsLeftAlone(t *testing.T) {
	f := newFixture(t, "hangs")
	f.probing = probing{every: time.Millisecond, timeout: 100 * time.Millisecond, misses: 300}
	g := current(t, f.supervise())
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	calls.Go(func() {
		for ctx.Err() == nil {
			_ = get(ctx, g, "s~1", "value")
		}
	})
	asked(t, g, 4)
	cancel()
	calls.Wait()
	if g.lost() {
		t.Errorf("it was ended: %v", g.run.refusal())
	}
}

func TestACallThatIsLateHasAFrozenPluginProbedAtOnce(t *testing.T) {
	f := newFixture(t, "")
	f.probing = probing{every: time.Hour, timeout: 200 * time.Millisecond, misses: 3}
	g := current(t, f.supervise())
	freeze(t, g.PID())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // its only outcome
	defer cancel()
	if err := get(ctx, g, "s~1", "value"); !errors.Is(err, sdk.DeadlineExceeded) {
		t.Errorf("a call of a frozen plugin: %v, want its deadline", err)
	}
	select {
	case <-g.gone:
	case <-time.After(30 * time.Second):
		t.Error("it was not probed")
	}
}

// A service manager sends SIGTERM to everything at once. What runs then is finished.
func TestATerminationOfEverythingLetsCallsFinish(t *testing.T) {
	f := newFixture(t, "steady")
	p := f.supervise()
	g := current(t, p)
	answer := make(chan error, 1)
	go func() { answer <- get(t.Context(), g, "s~1", "late") }()
	begun(t, g)
	signalled(t, g.PID(), syscall.SIGTERM)
	signalled(t, -g.PID(), syscall.SIGTERM)
	if err := <-answer; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if alive(g.PID()) {
		t.Error("the plugin has outlived its host's stop")
	}
}

func TestACrashLoopFailsItsCallersFastAndNobodyElses(t *testing.T) {
	f, good := newFixture(t, "crash"), newFixture(t, "")
	bad, other := f.supervise(), good.supervise()
	eventually(t, "the breaker is open", func() bool {
		_, err := bad.Current(t.Context())
		wantFault(t, err, sdk.Unavailable, ErrEnded, "no licence file")
		return bad.Status().State == Failed
	})
	s := bad.Status()
	if wait := time.Until(s.RetryAt); wait <= tolerated || len(s.History) != remembered || s.History[0].Lived != 0 {
		t.Errorf("Status = %+v, want a trial later, and how the last starts ended", s)
	}
	_, err := bad.Current(t.Context())
	var e *sdk.Error
	if !errors.As(err, &e) || e.RetryAfter <= tolerated {
		t.Errorf("%v does not tell when it is tried again", err)
	}
	if err := get(t.Context(), current(t, other), "s~1", "value"); err != nil {
		t.Errorf("another plugin: %v", err)
	}
}

func TestNoStoreReachesTheKernelsOwnFiles(t *testing.T) {
	f := newFixture(t, "")
	g := current(t, f.supervise())
	for _, path := range []string{"/", "/proc", "/proc/1/environ", "/sys/kernel", "/dev/mem", "/etc/../proc/self", "token"} {
		for _, r := range []*sdk.Reach{{Files: []string{path}}, {Writes: []string{path}}} {
			_, err := g.Admit(t.Context(), "s~1", r)
			wantFault(t, err, sdk.FailedPrecondition, nil, path[strings.LastIndexByte(path, '/')+1:])
		}
	}
}

func TestAFileThatIsNotThereYetIsReadOnceItIs(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	early, err := needOf(&sdk.Reach{Files: []string{token, "/no-such-file", "/no/such/file"}}, false)
	if err != nil || !slices.Equal(early.read, []string{dir}) {
		t.Errorf("need of a file to come: %v, %v, want its directory %s", early.read, err, dir)
	}
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	if now, err := needOf(&sdk.Reach{Files: []string{token}}, false); err != nil || !slices.Equal(now.read, []string{token}) {
		t.Errorf("need of a file: %v, %v, want it", now.read, err)
	}
}

func TestATeamIsServedByNoPluginWithSocketsOfItsOwn(t *testing.T) {
	f := newFixture(t, "")
	f.opts.Allow = map[string]Allowance{"fake": {Network: "direct"}}
	p := f.Supervise(f.binary(), Cell{Kind: Team})
	defer func() { _ = p.Stop(context.Background()) }()
	_, err := p.Current(t.Context())
	wantFault(t, err, sdk.FailedPrecondition, nil, "plugins.allow.fake.network")
}

func TestWhatHappensToAPluginIsTold(t *testing.T) {
	f := newFixture(t, "")
	var mu sync.Mutex
	var kinds []string
	f.opts.Events = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, e.Kind)
		if want := "reads " + f.opts.Dir; e.Kind == "replace" && e.Detail != want {
			t.Errorf("a process took another's place for %q, want %q", e.Detail, want)
		}
		if e.Provider != "fake" || e.Cell.Kind != Shared || !strings.HasPrefix(e.Digest, "sha256:") {
			t.Errorf("event %+v, want what it is about", e)
		}
	}
	p := f.Supervise(f.binary(), Cell{})
	g := admitted(t, p, "a~1", &sdk.Reach{})
	wide := admitted(t, p, "b~1", &sdk.Reach{Files: []string{f.opts.Dir}})
	g.Dismiss("a~1")
	<-g.Done()
	eventually(t, "the first generation is gone", func() bool { return p.Status().Draining == 0 })
	signalled(t, wide.PID(), syscall.SIGKILL)
	<-wide.gone
	admitted(t, p, "b~2", &sdk.Reach{Files: []string{f.opts.Dir}})
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{"start", "ready", "start", "ready", "replace", "stop", "exit", "start", "ready", "stop"}
	if !slices.Equal(kinds, want) {
		t.Errorf("told %q, want %q", kinds, want)
	}
}
