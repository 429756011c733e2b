package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	flagUsed uint32 = 1 << iota // read since the eviction hand passed
	flagRead                    // read since the last refresh
)

// Entry is the value of one key. All methods are safe for concurrent use.
type Entry[V any] struct {
	c      *Cache[V]
	key    string
	policy *Policy
	load   Load[V]
	state  atomic.Pointer[state[V]]
	flags  atomic.Uint32
	pins   atomic.Int32 // live values: never evicted, always refreshed
	dead   atomic.Bool

	mu      sync.Mutex // guards what follows, and orders changes of state
	flight  *Flight[V]
	started int64 // when the last load began
	subs    map[int]func(V, error)
	nextSub int

	slot   int // these four are under the cache's lock
	size   int
	dueAt  int64
	onDrop []func()
}

// state is immutable. Before `until` it is the answer as it stands; times are nanoseconds of the cache's clock.
type state[V any] struct {
	value   V
	has     bool
	err     error // the answer, when there is no value
	cause   error // why the last refresh failed, when there is one
	until   int64
	healthy int64 // when the origin last gave the value
	bound   int64 // the value may be served stale until then
	expires int64 // and never beyond; 0: no end
	doubted bool  // the value may have changed at the origin
}

// ended is the error of a value that may be served no longer.
func (s *state[V]) ended() error {
	if s.cause != nil {
		return s.cause
	}
	return sdk.Errorf(sdk.Unavailable, "the value is past its time and was not refreshed")
}

func (s *state[V]) answer() (V, error) { return s.value, s.err }

// Fresh gives the answer if it needs no load: a value, or an error that is remembered.
func (e *Entry[V]) Fresh() (v V, err error, ok bool) { //nolint:revive // the error is part of the answer, ok of the question
	s := e.state.Load()
	if s == nil || e.c.now.Load() >= s.until {
		return v, nil, false
	}
	if e.flags.Load() != flagUsed|flagRead {
		e.flags.Store(flagUsed | flagRead)
	}
	return s.value, s.err, true
}

// Dead reports that the entry was evicted or removed; ask the cache for the key's new one.
func (e *Entry[V]) Dead() bool { return e.dead.Load() }

// Get gives the answer, loading it if need be. A caller whose value may be served stale waits the policy's soft timeout, or as
// long as it can where the value may have changed; others wait until their context ends.
func (e *Entry[V]) Get(ctx context.Context) (V, error) {
	if v, err, ok := e.Fresh(); ok {
		return v, err
	}
	f, mine := e.Begin()
	if mine {
		e.spawn(f)
	}
	return e.Wait(ctx, f)
}

// Wait gives the flight's answer, or a stale one where it is slow.
func (e *Entry[V]) Wait(ctx context.Context, f *Flight[V]) (V, error) {
	s := e.stale()
	if s == nil {
		return f.wait(ctx)
	}
	var soft <-chan time.Time
	if !s.doubted {
		t := time.NewTimer(e.policy.SoftTimeout)
		defer t.Stop()
		soft = t.C
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
	case <-soft:
	}
	return e.c.opts.MarkStale(s.value), nil
}

// stale gives the state whose value may be served stale, or nil.
func (e *Entry[V]) stale() *state[V] {
	s := e.state.Load()
	now := e.c.elapsed()
	if s == nil || !s.has || now >= s.bound || s.expires > 0 && now >= s.expires {
		return nil
	}
	return s
}

// Revalidate reads past the cache, unless a load began within the last `every`: then the present answer is given.
func (e *Entry[V]) Revalidate(ctx context.Context, every time.Duration) (V, error) {
	e.mu.Lock()
	if s := e.state.Load(); s != nil && e.flight == nil && e.started > 0 && e.c.elapsed()-e.started < int64(every) {
		e.mu.Unlock()
		return s.answer()
	}
	f, mine := e.begin()
	e.mu.Unlock()
	if mine {
		e.spawn(f)
	}
	return f.wait(ctx)
}

// Invalidate forgets the answer, which is known to be past, and what a load brings that is under way. Live values are read
// anew at once and keep theirs meanwhile.
func (e *Entry[V]) Invalidate() { e.renew(func(*state[V]) *state[V] { return nil }) }

// Expire has the next caller read anew, as when the answer's time is up: it may be past. A value stays to be served stale
// while the origin cannot be reached. Live values are read anew at once.
func (e *Entry[V]) Expire() {
	e.renew(func(s *state[V]) *state[V] {
		if s == nil || !s.has {
			return nil
		}
		late := *s
		late.until, late.doubted = 0, true
		return &late
	})
}

// renew puts another state in the place of the present one, and makes a load that is under way obsolete.
func (e *Entry[V]) renew(next func(*state[V]) *state[V]) {
	e.mu.Lock()
	if e.flight != nil {
		e.flight.obsolete = true
		e.flight = nil
	}
	if e.pins.Load() == 0 {
		e.state.Store(next(e.state.Load()))
		e.mu.Unlock()
		return
	}
	f, mine := e.begin()
	e.mu.Unlock()
	if mine {
		e.spawn(f)
	}
}

// Subscribe calls f, one call at a time and in order, with every change of the answer until cancel is called; first with
// the present one, if there is one. The entry is refreshed and kept as long. f must not block or call the entry.
func (e *Entry[V]) Subscribe(f func(V, error)) (cancel func()) {
	e.pins.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.subs == nil {
		e.subs = map[int]func(V, error){}
	}
	id := e.nextSub
	e.nextSub++
	e.subs[id] = f
	if s := e.state.Load(); s != nil {
		f(s.answer())
	}
	return sync.OnceFunc(func() {
		e.mu.Lock()
		delete(e.subs, id)
		e.mu.Unlock()
		e.pins.Add(-1)
	})
}

// OnDrop has f called when the entry leaves the cache; f must not call the cache.
func (e *Entry[V]) OnDrop(f func()) {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	e.onDrop = append(e.onDrop, f)
}

// visit is called when the entry is due: its stale bound has passed, or it is time to refresh it.
func (e *Entry[V]) visit(now int64) {
	e.mu.Lock()
	if s := e.state.Load(); s != nil && s.has && now >= s.bound {
		e.set(&state[V]{err: s.ended(), healthy: s.healthy})
	}
	if e.pins.Load() == 0 && e.flags.And(^flagRead)&flagRead == 0 {
		e.mu.Unlock()
		return
	}
	f, mine := e.begin()
	e.mu.Unlock()
	if mine {
		e.spawn(f)
	}
}

// set makes s the answer. The live values hear of it first: whoever has seen the answer finds them up to date. e.mu is
// held.
func (e *Entry[V]) set(s *state[V]) {
	for _, f := range e.subs {
		f(s.answer())
	}
	e.state.Store(s)
}
