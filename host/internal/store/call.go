package store

import (
	"context"
	"errors"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// reauthEvery is how often a refused login makes a store resolve its credentials anew.
const reauthEvery = time.Minute

// goneTimeout bounds the wait for the end of a process whose connection broke.
const goneTimeout = 10 * time.Second

// call is one operation on a store. safe says that it may run twice: it is repeated once when the plugin's process died
// under it.
type call struct {
	op      string
	need    sdk.Capabilities
	safe    bool
	name    string // of the secret or key, for who observes
	version string
}

// do runs f on an opening of the store, within its limits. Remedies run once each: an opening that the plugin forgot, a
// process that died under a safe call, and credentials that the backend refuses and that have changed meanwhile.
func do[T any](ctx context.Context, s *Store, c call, f func(context.Context, *dial.Store) (T, error)) (out T, failed error) {
	var zero T
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	var by Provider
	if s.spec.Observe != nil {
		begun := time.Now()
		defer func() { s.spec.Observe(Observation{c.op, c.name, c.version, by, failed, time.Since(begun)}) }()
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return zero, s.annotate(err)
	}
	defer leave()
	var reopened, repeated, relogged bool
	for {
		h, err := s.acquire(ctx)
		if err != nil {
			return zero, s.annotate(err)
		}
		o := h.Value()
		by = o.provider
		if err := s.permit(o.can, c); err != nil {
			h.Release()
			return zero, s.annotate(err)
		}
		v, err := f(ctx, o.handle)
		switch {
		case err == nil:
			h.Release()
			s.health.up()
			return v, nil
		case !reopened && dial.IsUnknownStore(err):
			reopened = true
			s.discard(h)
			h.Release()
			continue
		case !repeated && c.safe && dial.IsTransport(err) && sdk.CodeOf(err) == sdk.Unavailable && waitGone(ctx, o.session):
			repeated = true
			s.discard(h)
			h.Release()
			continue
		case !relogged && sdk.CodeOf(err) == sdk.Unauthenticated && s.relogin(ctx, o.digest):
			relogged = true
			h.Release()
			continue
		}
		h.Release()
		s.note(err)
		return zero, s.annotate(err)
	}
}

func (s *Store) timeout() time.Duration {
	if s.spec.Limits.Timeout > 0 {
		return s.spec.Limits.Timeout
	}
	return DefaultTimeout
}

// enter waits for the store's limits.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := s.health.throttled(); err != nil {
		return nil, err
	}
	if s.bucket != nil {
		if err := s.bucket.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, sdk.Errorf(sdk.ResourceExhausted, "the store's own rate limit (limits.rate) leaves no room before the deadline")
		}
	}
	if s.places == nil {
		return func() {}, nil
	}
	select {
	case s.places <- struct{}{}:
		return func() { <-s.places }, nil
	case <-ctx.Done():
		return nil, sdk.Errorf(sdk.CodeOf(ctx.Err()), "waiting for one of %d places (limits.concurrency): %w", cap(s.places), ctx.Err())
	}
}

// permit refuses what the store cannot do, and what its operator does not let it do.
func (s *Store) permit(can sdk.Capabilities, c call) error {
	if missing := c.need &^ can; missing != 0 {
		return sdk.Errorf(sdk.Unimplemented, "%s: the store has no capability %v; it has %v", c.op, missing, can)
	}
	if forbidden := c.need &^ s.spec.Allow; forbidden != 0 {
		return sdk.Errorf(sdk.PermissionDenied, "%s: the store's configuration does not allow it (access)", c.op)
	}
	return nil
}

// waitGone waits for the end of a process whose connection broke, so that the next try meets its successor. On a machine under
// load the system takes its time to tell of that end; one that answers "unavailable" and lives must not hold its callers for ever.
func waitGone(ctx context.Context, s Session) bool {
	t := time.NewTimer(goneTimeout)
	defer t.Stop()
	select {
	case <-s.Done():
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// renewal is one look whether credentials that the backend refuses have changed. It is for all callers that were refused.
type renewal struct {
	old     [32]byte // digest of the settings that were refused
	begun   time.Time
	done    chan struct{}
	changed bool // and the store is open with the new ones
}

// relogin reports whether the store was opened anew since its settings, of the digest old, were refused. It resolves them at
// most once a minute.
func (s *Store) relogin(ctx context.Context, old [32]byte) bool {
	s.mu.Lock()
	r := s.renewal
	if r == nil || isDone(r.done) && time.Since(r.begun) >= reauthEvery {
		r = &renewal{old: old, begun: time.Now(), done: make(chan struct{})}
		s.renewal = r
		if !s.table.spawn(func(ctx context.Context) { s.renew(ctx, r) }) {
			close(r.done)
		}
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return r.changed && r.old == old
	case <-ctx.Done():
		return false
	}
}

func (s *Store) renew(ctx context.Context, r *renewal) {
	defer close(r.done)
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	settings, err := s.spec.Settings(ctx)
	if err == nil && digestOf(settings) != r.old {
		r.changed = s.Reopen(ctx) == nil
	}
}

// note keeps what a failure tells about the backend.
func (s *Store) note(err error) {
	switch code := sdk.CodeOf(err); code {
	case sdk.ResourceExhausted:
		if e, ok := errors.AsType[*sdk.Error](err); ok && e.RetryAfter > 0 {
			s.health.throttle(e.RetryAfter)
		}
	case sdk.Unavailable:
		if !dial.IsTransport(err) {
			s.health.down(err)
		}
	case sdk.DeadlineExceeded, sdk.Canceled:
	default:
		s.health.up() // an answer, if not the one that was hoped for
	}
}

// annotate names the store.
func (s *Store) annotate(err error) error {
	if err == nil {
		return nil
	}
	out := sdk.Errorf(sdk.CodeOf(err), "store %s: %w", s.spec.Name, err)
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		out.Reason, out.RequestID, out.RetryAfter = e.Reason, e.RequestID, e.RetryAfter
	}
	return out
}
