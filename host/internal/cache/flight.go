package cache

import "context"

// Flight is one load of an entry that any number of callers wait for. Whoever began it finishes it, exactly once.
type Flight[V any] struct {
	e        *Entry[V]
	done     chan struct{}
	obsolete bool // the secret was changed meanwhile: for those who wait, not for the entry. Under e.mu
	value    V
	err      error
}

// Begin joins the load that is under way, or begins one: then mine is true and the caller must Finish it. The answer of a
// load that ended since the caller looked is given as a flight that has landed.
func (e *Entry[V]) Begin() (f *Flight[V], mine bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v, err, ok := e.Fresh(); ok {
		f := &Flight[V]{e: e, done: make(chan struct{}), value: v, err: err}
		close(f.done)
		return f, false
	}
	return e.begin()
}

// begin joins or begins a load, whatever the present answer. e.mu is held.
func (e *Entry[V]) begin() (*Flight[V], bool) {
	if e.flight != nil {
		return e.flight, false
	}
	e.started = e.c.elapsed()
	e.flight = &Flight[V]{e: e, done: make(chan struct{})}
	return e.flight, true
}

// Finish gives the outcome of a load to the entry and to those who wait.
func (f *Flight[V]) Finish(l Loaded[V], err error) {
	e := f.e
	size := 0
	if err == nil {
		size = l.Size
	}
	kept := e.c.resize(e, size+len(e.key))
	e.mu.Lock()
	f.value, f.err = l.Value, err
	closing := e.c.ctx.Err() != nil // live values keep their last answer
	// A live value that has no answer yet takes an obsolete one: its newer load is under way.
	useless := f.obsolete && (e.pins.Load() == 0 || e.state.Load() != nil)
	switch {
	case useless || !kept || closing && err != nil:
	case err == nil:
		e.accept(l)
	default:
		e.fail(err)
		if s := e.state.Load(); s.has { // those who waited get what everybody gets
			f.value, f.err = s.value, nil
		}
	}
	if e.flight == f {
		e.flight = nil
	}
	e.mu.Unlock()
	close(f.done)
}

func (f *Flight[V]) wait(ctx context.Context) (v V, err error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// Run loads the entry on the caller's goroutine and finishes the flight.
func (f *Flight[V]) Run() {
	ctx, cancel := context.WithTimeout(f.e.c.ctx, f.e.policy.LoadTimeout)
	defer cancel()
	l, err := f.e.load(ctx)
	f.Finish(l, err)
}

// spawn runs a flight on a goroutine of the cache.
func (e *Entry[V]) spawn(f *Flight[V]) {
	c := e.c
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		f.Finish(Loaded[V]{}, context.Canceled)
		return
	}
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		f.Run()
	}()
}
