package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// admitted opens a store on the current generation as the store table does, until a generation takes it.
func admitted(t *testing.T, p *Process, handle string, r *sdk.Reach) *Generation {
	t.Helper()
	for range 3 {
		g, err := p.Current(t.Context())
		if err != nil {
			t.Fatalf("Current: %v", err)
		}
		again, err := g.Admit(t.Context(), handle, r)
		if err != nil {
			t.Fatalf("Admit: %v", err)
		}
		if !again {
			return g
		}
		g.Dismiss(handle)
	}
	t.Fatal("never admitted")
	return nil
}

func TestAPluginIsConfinedAndItsStatusSaysSo(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	g := admitted(t, p, "s~1", &sdk.Reach{})
	s := p.Status()
	if !strings.HasPrefix(s.Digest, "sha256:") || s.Image == "" || s.Network != "brokered" || len(s.Layers) == 0 || s.Cell.Kind != Shared {
		t.Errorf("Status = %+v, want digest, image, network, layers and cell", s)
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(g.PID()), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the process does not say %q", want)
		}
	}
}

func TestAStoreThatNeedsMoreGetsAWiderProcess(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	first := admitted(t, p, "a~1", &sdk.Reach{})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	wide := admitted(t, p, "b~1", &sdk.Reach{Files: []string{file}})
	if wide == first || wide.Number() != 2 {
		t.Fatalf("generation %d, want the second", wide.Number())
	}
	select {
	case <-first.Superseded():
	default:
		t.Error("the first generation was not told that it is superseded")
	}
	if err := get(t.Context(), first, "a~9", "value"); err != nil {
		t.Errorf("a call on the first generation while a store holds it: %v", err)
	}
	first.Dismiss("a~1")
	<-first.Done()
	if again := admitted(t, p, "a~2", &sdk.Reach{Files: []string{file}}); again != wide {
		t.Error("a need that is covered started another process")
	}
	if s := p.Status(); s.Restarts != 0 || len(s.History) != 0 {
		t.Errorf("Status = %+v, want no restart: nothing failed", s)
	}
	if err := syscall.Kill(wide.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-wide.gone
	if next := admitted(t, p, "b~2", &sdk.Reach{Files: []string{file}}); next.Number() != 3 {
		t.Errorf("after a crash the need was met by generation %d, want the third at once", next.Number())
	}
}

func TestWhatAStoreNeededIsForgottenOnceItHasLeft(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	mine, theirs := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "token")
	for _, file := range []string{mine, theirs} {
		if err := os.WriteFile(file, []byte("t"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	admitted(t, p, "a~1", &sdk.Reach{Files: []string{mine}})
	wide := admitted(t, p, "b~1", &sdk.Reach{Files: []string{theirs}})
	p.Keep(func(store string) bool { return store == "a" })
	if err := syscall.Kill(wide.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-wide.gone
	next := admitted(t, p, "a~2", &sdk.Reach{Files: []string{mine}})
	if got := next.need.String(); got != "reads "+mine {
		t.Errorf("the next process %s, want only what the store needs that is left, %s", got, mine)
	}
}

func TestAPluginThatBreaksTheRulesOfItsDialSocketIsReplaced(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	g := admitted(t, p, "s~1", &sdk.Reach{})
	if err := get(t.Context(), g, "s~1", "breach"); err == nil {
		t.Error("the call was answered, want that it fails with its process")
	}
	<-g.gone
	next, err := p.Current(t.Context())
	if err != nil || next.Number() != 2 {
		t.Fatalf("Current: %v, want the second generation", err)
	}
	if h := p.Status().History; len(h) != 1 || !strings.Contains(h[0].Reason, errBreach.Error()) {
		t.Errorf("history %+v, want the reason %q", h, errBreach)
	}
	if err := get(t.Context(), next, "s~2", "value"); err != nil {
		t.Errorf("a call on the next process: %v", err)
	}
}

func TestATeamsProcessTakesNoStoreThatReachesTheMachine(t *testing.T) {
	f := newFixture(t, "")
	f.opts.Env = append(f.opts.Env, "AWS_PROFILE=gateway")
	p := f.Supervise(f.binary(), Cell{Kind: Team})
	defer func() { _ = p.Stop(context.Background()) }()
	g, err := p.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*sdk.Reach{"unknown": nil, "ambient": {Ambient: true}, "file": {Files: []string{"/etc/token"}}, "writes": {Writes: []string{"/tmp"}}} {
		if _, err := g.Admit(t.Context(), "s~1", r); !errors.Is(err, sdk.PermissionDenied) {
			t.Errorf("%s: %v, want permission denied", name, err)
		}
	}
	if err := get(t.Context(), g, "s~2", "AWS_PROFILE"); err == nil || !strings.Contains(err.Error(), "no such secret") {
		t.Errorf("a variable of the operator's: %v, want that a team's process does not find it", err)
	}
}

func TestVerifiedBytesRunWhateverBecomesOfTheFile(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	g, err := p.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	was := p.Status().Digest
	if err := replace(f.plugin, "#!/bin/sh\nexit 1\n", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next, err := p.After(t.Context(), g)
	if err != nil {
		t.Fatalf("restart after the file was replaced: %v", err)
	}
	if err := get(t.Context(), next, "s~2", "value"); err != nil || p.Status().Digest != was {
		t.Errorf("digest %s, %v, want the verified bytes %s", p.Status().Digest, err, was)
	}
}

func TestAFrozenProcessIsFoundAndReplaced(t *testing.T) {
	f := newFixture(t, "")
	f.probing = probing{every: 20 * time.Millisecond, timeout: time.Second, misses: 3}
	p := f.supervise()
	g, err := p.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(g.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-g.gone
	next, err := p.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := get(t.Context(), next, "s~2", "value"); err != nil {
		t.Errorf("Get after the replacement: %v", err)
	}
	s := p.Status()
	if len(s.History) != 1 || !strings.Contains(s.History[0].Reason, errFrozen.Error()) {
		t.Errorf("history %+v, want that it was stopped by a signal", s.History)
	}
}

func TestKillsFromOutsideAreReplacedAtOnceAndCrashesAreNot(t *testing.T) {
	f := newFixture(t, "")
	p := f.supervise()
	for range 2 * tripAt {
		g, err := p.Current(t.Context())
		if err != nil {
			t.Fatalf("after kills: %v", err)
		}
		if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-g.gone
		eventually(t, "the next generation", func() bool { n, err := p.Current(t.Context()); return err == nil && n != g })
	}
	q := f.supervise()
	eventually(t, "a plugin that crashes again and again is failed", func() bool {
		if g, err := q.Current(t.Context()); err == nil {
			_ = get(t.Context(), g, "s~1", "exit")
		}
		return q.Status().State == Failed
	})
	_, err := q.Current(t.Context())
	wantFault(t, err, sdk.Unavailable, ErrEnded, "is not running", "exit status 3")
}
