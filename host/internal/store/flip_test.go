package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
)

// candidate is another provider of the store's, over a backend of its own.
func candidate(t *testing.T) *processes {
	t.Helper()
	ps := &processes{backend: example.NewBackend()}
	t.Cleanup(ps.kill)
	return ps
}

func read(t *testing.T, s *Store) string {
	t.Helper()
	got, err := s.Get(t.Context(), sdk.GetRequest{Name: "k"})
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return string(got.Value.Reveal())
}

func TestAFlipFailsNoCallAndCanBeUndone(t *testing.T) {
	f, next := open(t, `{}`), candidate(t)
	f.ps.backend.Set("k", "old")
	next.backend.Set("k", "new")
	read(t, f.Store)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var calls atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if _, err := f.Get(t.Context(), sdk.GetRequest{Name: "k"}); err != nil {
					t.Errorf("a read during flips: %v", err)
					return
				}
			}
		})
	}
	for range 50 {
		c, err := f.Prepare(t.Context(), next)
		if err != nil || !c.Opened() {
			t.Fatalf("Prepare: opened %v, %v", c != nil && c.Opened(), err)
		}
		former := c.Flip()
		if got := read(t, f.Store); got != "new" {
			t.Fatalf("after the flip %q, want the candidate's value", got)
		}
		if got, err := former.Get(t.Context(), sdk.GetRequest{Name: "k"}); err != nil || string(got.Value.Reveal()) != "old" {
			t.Fatalf("the former opening: %v, want it warm", err)
		}
		if _, err := former.Restore(t.Context()); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		if got := read(t, f.Store); got != "old" {
			t.Fatalf("after the restoring %q, want the former value", got)
		}
	}
	close(stop)
	wg.Wait()
}

func TestACandidateThatDoesNotOpenLeavesTheStoreAlone(t *testing.T) {
	f, next := open(t, `{"token": "t", "require_token": "t"}`), candidate(t)
	f.ps.backend.Set("k", "old")
	read(t, f.Store)
	f.settings.Store(`{"nonsense": 1}`)
	if _, err := f.Prepare(t.Context(), next); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("Prepare with settings that the candidate refuses: %v, want invalid argument", err)
	}
	f.settings.Store(`{"token": "t", "require_token": "other"}`)
	if _, err := f.Prepare(t.Context(), next); !errors.Is(err, sdk.Unauthenticated) {
		t.Errorf("Prepare with a login that is refused: %v, want unauthenticated", err)
	}
	if got := read(t, f.Store); got != "old" || f.served() != Provider(f.ps) {
		t.Errorf("%q after refused candidates, want the store as it was", got)
	}
}

func TestACandidateMustDoWhatTheStoreDoesNow(t *testing.T) {
	f, next := open(t, `{}`), candidate(t)
	f.ps.backend.Set("k", "v")
	read(t, f.Store)
	c, err := f.Prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	weak := *c.o
	weak.can &^= sdk.CanDelete
	h, _ := f.current.Acquire()
	defer h.Release()
	if err := f.judge(t.Context(), h.Value(), &weak); !errors.Is(err, sdk.FailedPrecondition) || !strings.Contains(err.Error(), "delete") {
		t.Errorf("a candidate without delete: %v, want a refusal that names it", err)
	}
	c.Discard()
}

func TestNewEndpointsAreTold(t *testing.T) {
	reach := func(ambient bool, endpoints ...string) *sdk.Reach {
		return &sdk.Reach{Endpoints: endpoints, Ambient: ambient}
	}
	for name, c := range map[string]struct {
		now, next *sdk.Reach
		want      string
	}{
		"same":             {reach(false, "A:443"), reach(false, "a:443"), ""},
		"fewer":            {reach(false, "a:443", "b:443"), reach(false, "b:443"), ""},
		"another host":     {reach(false, "a:443"), reach(false, "a:443", "evil:443"), "evil:443"},
		"another port":     {reach(false, "a:443"), reach(false, "a:80"), "a:80"},
		"the own identity": {reach(false, "a:443"), reach(true, "a:443"), "the machine's own identity"},
		"untold before":    {nil, reach(false, "a:443"), ""},
		"untold now":       {reach(false, "a:443"), nil, ""},
	} {
		if got := strings.Join(newEndpoints(c.now, c.next), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAStoreThatIsNotOpenFlipsAtOnceAndOpensOnItsNextUse(t *testing.T) {
	f, next := open(t, `{}`), candidate(t)
	next.backend.Set("k", "new")
	c, err := f.Prepare(t.Context(), next)
	if err != nil || c.Opened() {
		t.Fatalf("Prepare of an idle store: %v, want it left for later", err)
	}
	former := c.Flip()
	if got := read(t, f.Store); got != "new" {
		t.Errorf("read %q, want the candidate's value", got)
	}
	former.Retire()
}

// superseding is a provider whose session is superseded on request.
type superseding struct {
	*processes
	ended     chan struct{}
	dismissed atomic.Int64
}

type supersededSession struct {
	Session
	p *superseding
}

func (s *superseding) Current(ctx context.Context) (Session, error) {
	session, err := s.processes.Current(ctx)
	return supersededSession{session, s}, err
}

func (s supersededSession) Superseded() <-chan struct{} { return s.p.ended }
func (s supersededSession) Dismiss(string)              { s.p.dismissed.Add(1) }

func TestAStoreMovesWhenItsProcessIsSuperseded(t *testing.T) {
	f := open(t, `{}`)
	f.ps.backend.Set("k", "v")
	p := &superseding{processes: f.ps, ended: make(chan struct{})}
	f.provider = p
	read(t, f.Store)
	was := f.Session()
	close(p.ended)
	for p.dismissed.Load() == 0 {
		read(t, f.Store)
	}
	if was == nil {
		t.Error("no session before")
	}
}
