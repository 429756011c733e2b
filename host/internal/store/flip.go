package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/host/internal/slot"
	"github.com/keyway-dev/keyway/sdk"
)

// recently is how lately a store was used whose candidate opens before the flip; others open on their next use.
const recently = 10 * time.Minute

// Candidate is a store about to be served by another provider. Flip or Discard it, once.
type Candidate struct {
	store *Store
	to    Provider
	from  Provider
	o     *opening // nil: the store was not used lately, and opens on its next use
}

// Prepare opens the store on another provider, beside the opening that serves, and logs in there. It is refused as
// FailedPrecondition where the candidate cannot do what the store is used for now, or reaches an endpoint that the
// present one does not, and with the candidate's own error where it does not open or log in. What serves goes on in any
// case.
func (s *Store) Prepare(ctx context.Context, to Provider) (*Candidate, error) {
	c := &Candidate{store: s, to: to, from: s.served()}
	h, open := s.current.Acquire()
	if open {
		defer h.Release()
	}
	if lately := time.Since(time.Unix(0, s.used.Load())) < recently; !open || !lately {
		return c, nil
	}
	o, err := s.openOn(ctx, to)
	if err != nil {
		return nil, s.annotate(err)
	}
	if err := s.judge(ctx, h.Value(), o); err != nil {
		s.table.retire(s, unused(o))
		return nil, s.annotate(err)
	}
	c.o = o
	return c, nil
}

// judge holds a candidate against what serves.
func (s *Store) judge(ctx context.Context, now, o *opening) error {
	if missing := now.can & s.spec.Allow &^ o.can; missing != 0 {
		return sdk.Errorf(sdk.FailedPrecondition, "the candidate lacks %v, which the store can do now", missing)
	}
	if added := newEndpoints(now.handle.Reach(), o.handle.Reach()); len(added) > 0 {
		return sdk.Errorf(sdk.FailedPrecondition, "with the same settings the candidate reaches %s, which the present plugin does not", strings.Join(added, ", "))
	}
	if _, err := o.handle.Check(ctx); err != nil {
		return sdk.Errorf(sdk.CodeOf(err), "the candidate does not log in beside the present plugin: %w", err)
	}
	return nil
}

// newEndpoints gives what a reach adds to another; one that does not tell adds nothing, since it may dial nothing.
func newEndpoints(now, next *sdk.Reach) (added []string) {
	if now == nil || next == nil {
		return nil
	}
	for _, e := range next.Endpoints {
		if !slices.ContainsFunc(now.Endpoints, func(have string) bool { return strings.EqualFold(have, e) }) {
			added = append(added, e)
		}
	}
	if next.Ambient && !now.Ambient {
		added = append(added, "the machine's own identity")
	}
	return added
}

// Opened reports whether the candidate was opened, and not left to the store's next use.
func (c *Candidate) Opened() bool { return c.o != nil }

// Get reads a secret on the candidate. It needs one that was opened.
func (c *Candidate) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	return c.o.handle.Get(ctx, r)
}

// Discard closes the candidate, and the channel once that is done; the store stays as it is.
func (c *Candidate) Discard() <-chan struct{} {
	if c.o == nil {
		return (&Former{}).Retire()
	}
	return (&Former{store: c.store, old: unused(c.o), open: true}).Retire()
}

// Flip has the candidate serve from now on. Calls that run finish where they began. The former opening stays open until it
// is restored or retired.
func (c *Candidate) Flip() *Former {
	s := c.store
	f := &Former{store: s, to: c.from}
	s.mu.Lock()
	s.provider = c.to
	s.flight = nil // one that is under way would answer for the former provider
	var old slot.Retired[*opening]
	var ok bool
	if c.o != nil {
		old, ok = s.current.Swap(c.o)
	} else {
		old, ok = s.current.Clear()
	}
	s.mu.Unlock()
	if ok {
		f.old, f.open = old, true
	}
	if c.o != nil {
		s.begun(c.o)
	}
	return f
}

// Former is what served a store before a flip. Restore or Retire it, once.
type Former struct {
	store *Store
	to    Provider
	old   slot.Retired[*opening]
	open  bool
}

// Open reports whether the former opening can still be asked.
func (f *Former) Open() bool { return f.open && f.old.Value.alive() }

// Get reads a secret on the former opening.
func (f *Former) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	return f.old.Value.handle.Get(ctx, r)
}

// Retire closes the former opening after its last call, and closes the channel once that is done.
func (f *Former) Retire() <-chan struct{} {
	done := make(chan struct{})
	if !f.open || !f.store.table.spawn(func(ctx context.Context) {
		defer close(done)
		f.store.finish(ctx, f.old)
	}) {
		close(done) // there is none, or the host is closing and the process ends with it
	}
	return done
}

// Restore has the former provider serve again. The store opens there beside what serves now; when that fails, it opens
// on its next use. The channel closes when what was restored from is closed.
func (f *Former) Restore(ctx context.Context) (retired <-chan struct{}, err error) {
	s := f.store
	o, err := s.openOn(ctx, f.to)
	s.mu.Lock()
	s.provider = f.to
	s.flight = nil
	var now slot.Retired[*opening]
	var ok bool
	if err == nil {
		now, ok = s.current.Swap(o)
	} else {
		now, ok = s.current.Clear()
	}
	s.mu.Unlock()
	if err == nil {
		s.begun(o)
	}
	f.Retire()
	if ok {
		return (&Former{store: s, old: now, open: true}).Retire(), s.annotate(err)
	}
	return (&Former{}).Retire(), s.annotate(err)
}

// Provider gives who serves the store.
func (s *Store) Provider() Provider { return s.served() }

// Session gives the session of the current opening; nil when the store is not open.
func (s *Store) Session() Session {
	h, ok := s.current.Acquire()
	if !ok {
		return nil
	}
	defer h.Release()
	return h.Value().session
}
