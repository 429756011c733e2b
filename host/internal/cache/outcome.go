package cache

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// What is asked again after a failure is spread, so that an origin which comes back is not met by every key at once.
const (
	retryMin = 15 * time.Second
	retryMax = 45 * time.Second
	// coldMin and coldMax are for live values that have never been read: nothing can be served for them, so they ask
	// more often.
	coldMin = time.Second
	coldMax = 3 * time.Second
	// deniedTTL is how long a refusal is remembered: enough to stop a storm, short enough to see a mended policy.
	deniedTTL = time.Second
)

// accept turns a good load into the answer. e.mu is held.
func (e *Entry[V]) accept(l Loaded[V]) {
	now, first := e.c.elapsed(), e.state.Load() == nil
	ttl := spread(e.policy.TTL, 0.9, 1.1)
	refresh := spread(ttl, 0.72, 0.88)
	if first { // many entries begin together, at the start of the host
		refresh = spread(ttl, 0.5, 0.9)
	}
	s := &state[V]{value: l.Value, has: true, healthy: now, until: now + int64(ttl)}
	s.bound = max(s.until, now+int64(e.policy.MaxStaleUnreachable))
	if !l.Expires.IsZero() {
		left := max(time.Until(l.Expires), 0)
		s.expires = now + int64(left)
		s.until, s.bound = min(s.until, s.expires), min(s.bound, s.expires)
		refresh = min(refresh, spread(left, 0.72, 0.88))
	}
	e.set(s)
	e.c.schedule(e, now+int64(max(refresh, tick)))
}

// fail turns a failed load into the answer: the value as it was, the value stale, or the error. e.mu is held.
func (e *Entry[V]) fail(err error) {
	now, old := e.c.elapsed(), e.state.Load()
	stale, again := e.consequence(err)
	if old != nil && old.has && (old.expires == 0 || now < old.expires) {
		end := old.healthy + int64(stale)
		if unreachable(err) {
			end = max(end, old.until)
		}
		if now < end {
			s := *old
			s.cause, s.bound = err, end
			if now >= s.until {
				s.value, s.until = e.c.opts.MarkStale(s.value), min(now+int64(again), end)
			}
			e.set(&s)
			e.c.schedule(e, min(now+int64(again), end))
			return
		}
	}
	s := &state[V]{err: err}
	if remembered(err) {
		s.until = now + int64(again)
	}
	e.set(s)
	if e.pins.Load() > 0 {
		e.c.schedule(e, now+int64(max(again, spread(coldMin, 1, float64(coldMax/coldMin)))))
	}
}

// consequence says how long after its last healthy read a value may be served past this error, and when to ask again.
func (e *Entry[V]) consequence(err error) (stale, again time.Duration) {
	p := e.policy
	switch sdk.CodeOf(err) {
	case sdk.NotFound, sdk.FailedPrecondition:
		return p.MaxStaleDeleted, p.NegativeTTL
	case sdk.PermissionDenied, sdk.Unauthenticated:
		if e.state.Load() != nil && p.MaxStaleDenied > 0 {
			return p.MaxStaleDenied, spread(retryMin, 1, float64(retryMax/retryMin))
		}
		return 0, deniedTTL
	case sdk.ResourceExhausted:
		if x, ok := errors.AsType[*sdk.Error](err); ok && x.RetryAfter > 0 {
			return p.MaxStaleUnreachable, x.RetryAfter
		}
		return p.MaxStaleUnreachable, deniedTTL
	case sdk.Unavailable, sdk.DeadlineExceeded, sdk.Canceled:
		if s := e.state.Load(); s == nil || !s.has {
			return 0, 0
		}
		return p.MaxStaleUnreachable, spread(retryMin, 1, float64(retryMax/retryMin))
	}
	return 0, 0 // a bug or bad input: never hidden behind an old value
}

// unreachable reports failures that say nothing about the secret: what is still fresh stays so.
func unreachable(err error) bool {
	switch sdk.CodeOf(err) {
	case sdk.Unavailable, sdk.DeadlineExceeded, sdk.ResourceExhausted, sdk.Canceled:
		return true
	}
	return false
}

// remembered reports failures that the origin would only repeat.
func remembered(err error) bool {
	switch sdk.CodeOf(err) {
	case sdk.NotFound, sdk.FailedPrecondition, sdk.PermissionDenied, sdk.Unauthenticated, sdk.ResourceExhausted:
		return true
	}
	return false
}

// spread gives d times a random factor.
func spread(d time.Duration, from, to float64) time.Duration {
	return time.Duration(float64(d) * (from + rand.Float64()*(to-from))) //nolint:gosec // jitter, not a secret
}
