package host

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

// rejectEvery is how often a rejected value makes the host ask the store: however many requests fail upstream, one read.
const rejectEvery = 10 * time.Second

// Live is a reference that holds its current value. It unmarshals from text (YAML, JSON, flags), so that it can be a field
// of a configuration struct; String and MarshalText give the reference, never the value. [Host.Bind] and [Host.Live] make
// it live. All methods are safe for concurrent use. Do not copy a Live.
type Live struct {
	ref   string
	state atomic.Pointer[liveState]

	mu      sync.Mutex // orders bind and unbind
	binding *binding
	reads   []*audit.Counter // set before the first value comes
	cancel  []func()
}

// liveState is what Load answers. Changed closes when another value or error takes its place.
type liveState struct {
	value   *Value
	err     error
	changed chan struct{}
	reads   []*audit.Counter // nil: nobody counts
}

// NewLive makes an unbound Live of a reference.
func NewLive(ref string) *Live { return &Live{ref: ref} }

// String gives the reference.
func (l *Live) String() string {
	if l == nil {
		return ""
	}
	return l.ref
}

// MarshalText gives the reference.
func (l *Live) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText sets the reference of a Live that is not bound.
func (l *Live) UnmarshalText(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.binding != nil {
		return errors.New("host: a bound Live keeps its reference")
	}
	l.ref = string(text)
	return nil
}

// Load gives the current value: one atomic load, no allocation. It fails only when no value may be served: the Live is
// not bound (FailedPrecondition) or was never read (Unavailable), or its secret is deleted, denied, or past its staleness
// bound (the store's code). The value is never empty.
func (l *Live) Load() (*Value, error) {
	s := l.state.Load()
	if s == nil {
		return nil, errUnbound
	}
	if s.reads != nil {
		count(s.reads, s.value)
	}
	return s.value, s.err
}

var (
	errUnbound = sdk.Errorf(sdk.FailedPrecondition, "host: this Live is not bound; Host.Bind or Host.Live binds it")
	errUnread  = sdk.Errorf(sdk.Unavailable, "host: this Live has no value yet")
)

// Changes yields each newer value than the one at the time of this call, and the error when there is none to serve any
// more. Values that follow one another faster than the loop runs are coalesced to the last. It ends with ctx.
func (l *Live) Changes(ctx context.Context) iter.Seq2[*Value, error] {
	present := l.state.Load()
	return func(yield func(*Value, error) bool) {
		s := present
		for s != nil {
			select {
			case <-ctx.Done():
				return
			case <-s.changed:
			}
			s = l.state.Load()
			if !yield(s.value, s.err) {
				return
			}
		}
		yield(nil, errUnbound)
	}
}

// Reject says that seen, a value that Load gave, was refused upstream (a 401, say). A newer one that is already here is
// given at once; else the store is read past the cache, at most once in 10 s however many requests fail. When that gives
// the same value it is answered with [ErrUnchanged], and the caller should not try again.
func (l *Live) Reject(ctx context.Context, seen *Value) (*Value, error) {
	v, err := l.Load()
	if err != nil || seen == nil || v.newerThan(seen) {
		return v, err
	}
	l.mu.Lock()
	b := l.binding
	l.mu.Unlock()
	if b == nil {
		return nil, errUnbound
	}
	for _, p := range b.parts {
		if p.reading == nil {
			continue
		}
		if _, err := p.reading.entry.Revalidate(ctx, rejectEvery); err != nil {
			return nil, located(p.reading.ref, err)
		}
	}
	if v, err = l.Load(); err == nil && !v.newerThan(seen) {
		return v, ErrUnchanged
	}
	return v, err
}

// Unbind ends the following of the secret; Load gives the last value from then on. A host's Close does the same.
func (l *Live) Unbind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.cancel {
		c()
	}
	l.cancel, l.binding = nil, nil
}

// follow makes the Live hold what b gives from now on.
func (l *Live) follow(b *binding) {
	l.Unbind()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.binding, l.reads = b, b.reads
	l.state.CompareAndSwap(nil, &liveState{err: errUnread, changed: make(chan struct{})})
	for _, p := range b.parts {
		if p.reading != nil {
			l.cancel = append(l.cancel, p.reading.entry.Subscribe(func(v *Value, err error) { l.update(b, p.reading, v, err) }))
		}
	}
}

// update is called by an entry, in order for each one, with its new answer.
func (l *Live) update(b *binding, r *reading, v *Value, err error) {
	if err != nil {
		l.put(nil, located(r.ref, err))
		return
	}
	if v, err = r.selectFrom(v); err != nil {
		l.put(nil, located(r.ref, err))
		return
	}
	if b.whole {
		l.put(v, nil)
		return
	}
	joined, err := b.join(func(x *reading) (*Value, error) {
		if x == r {
			return v, nil
		}
		w, err, ok := x.fresh()
		if !ok {
			return nil, errUnread
		}
		return w, err
	})
	l.put(joined, err)
}

func (l *Live) put(v *Value, err error) {
	s := &liveState{value: v, err: err, changed: make(chan struct{}), reads: l.reads}
	for {
		old := l.state.Load()
		same := old != nil && old.err == nil && err == nil && !v.newerThan(old.value)
		if same {
			s.changed = old.changed // a newer reading of the same value is no change
		}
		if !l.state.CompareAndSwap(old, s) {
			continue
		}
		if old != nil && !same {
			close(old.changed)
		}
		return
	}
}

// Live gives a bound Live for a reference, with its value. When the value cannot be had the error says why; if it is
// [Retryable] the Live is given beside it, and the value arrives by itself.
func (h *Host) Live(ctx context.Context, ref string) (*Live, error) {
	l := NewLive(ref)
	if err := h.bindAll(ctx, []place{{live: l}}); err != nil {
		if !Retryable(err) {
			l.Unbind()
			return nil, err
		}
		return l, err
	}
	return l, nil
}
