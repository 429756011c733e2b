package store

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/internal/slot"
	"github.com/keyway-dev/keyway/sdk"
)

// DefaultCap is how many stores stay open in one plugin process: 10,000 idle ones would hold 133 MB there.
const DefaultCap = 512

// Table holds the stores of a host.
type Table struct {
	limit int
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	stores []*Store
	open   map[Provider]map[*Store]bool
}

// NewTable makes an empty table; at most limit stores of one provider stay open, 0 meaning [DefaultCap].
func NewTable(limit int) *Table {
	if limit <= 0 {
		limit = DefaultCap
	}
	t := &Table{limit: limit, open: map[Provider]map[*Store]bool{}}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// Add makes a store known; it opens on its first use.
func (t *Table) Add(spec Spec) *Store {
	s := newStore(t, spec)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stores = append(t.stores, s)
	return s
}

// Close closes every store, each after its calls, and waits until that is done or ctx ends.
func (t *Table) Close(ctx context.Context) {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	var closing sync.WaitGroup
	for _, s := range t.stores { // nothing is added to a closed table
		if old, ok := s.current.Clear(); ok {
			closing.Go(func() { s.finish(ctx, old) })
		}
	}
	closing.Wait()
	t.stop()
	t.wg.Wait()
}

// spawn runs f on a goroutine of the table, with a context that ends with it; false when the table is closed.
func (t *Table) spawn(f func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(func() { f(t.ctx) })
	return true
}

// opened notes that s is open and closes the least recently used store of its provider beyond the limit.
func (t *Table) opened(s *Store) {
	p := s.served()
	s.used.Store(time.Now().UnixNano()) // who waits for it has not used it yet, and must find it open
	t.mu.Lock()
	for other, set := range t.open { // it may have been another provider's
		if delete(set, s); len(set) == 0 && other != p {
			delete(t.open, other)
		}
	}
	set := t.open[p]
	if set == nil {
		set = map[*Store]bool{}
		t.open[p] = set
	}
	set[s] = true
	var idle *Store
	if len(set) > t.limit {
		for x := range set {
			if x != s && (idle == nil || x.used.Load() < idle.used.Load()) {
				idle = x
			}
		}
		delete(set, idle)
	}
	t.mu.Unlock()
	if idle == nil {
		return
	}
	if old, ok := idle.current.Clear(); ok {
		t.retire(idle, old)
	}
}

// retire closes an opening that is current no more, once its last call is gone.
func (t *Table) retire(s *Store, old slot.Retired[*opening]) {
	if !t.spawn(func(ctx context.Context) { s.finish(ctx, old) }) {
		old.Value.end() // the host is closing: the process ends, and the opening with it
		old.Value.session.Dismiss(old.Value.handle.Handle())
	}
}

// unused is an opening that never was current.
func unused(o *opening) slot.Retired[*opening] {
	drained := make(chan struct{})
	close(drained)
	return slot.Retired[*opening]{Value: o, Drained: drained}
}

func (s *Store) finish(ctx context.Context, old slot.Retired[*opening]) {
	o := old.Value
	o.end()
	defer o.session.Dismiss(o.handle.Handle())
	drain := time.NewTimer(drainTimeout)
	defer drain.Stop()
	select {
	case <-old.Drained:
	case <-o.session.Done():
		return
	case <-drain.C:
		s.spec.Logger.Warn("calls still run on a replaced opening; closing it under them", "store", s.spec.Name)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := o.handle.Close(ctx); err != nil && o.alive() {
		s.spec.Logger.Warn("closing an opening failed", "store", s.spec.Name, "code", sdk.CodeOf(err).String(), "error", err)
	}
}

func digestOf(settings sdk.Sensitive) [32]byte { return sha256.Sum256(settings.Reveal()) }
