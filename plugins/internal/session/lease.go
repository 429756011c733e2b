package session

import "time"

// Lease is a token with its term. It never changes, and stays usable when another has taken its place.
type Lease[T any] struct {
	Token T

	ttl       time.Duration
	renewable bool
	renewAt   time.Time // zero: never
	ends      time.Time // zero: never, or nothing to be done about it
}

// newLease schedules a grant: renewal after two thirds of its term, the end a tenth early, so that no request leaves with
// a token that ends under way. once: no login can follow it.
func newLease[T any](g Grant[T], once bool) *Lease[T] {
	l := &Lease[T]{Token: g.Token, ttl: g.TTL, renewable: g.Renewable}
	now := time.Now()
	if g.TTL > 0 && (g.Renewable || !once) {
		l.renewAt = now.Add(g.TTL * 2 / 3)
	}
	if g.TTL > 0 && !once {
		l.ends = now.Add(g.TTL - g.TTL/10)
	}
	return l
}

// later gives a copy of l whose renewal could not be done now.
func (l *Lease[T]) later(now time.Time) *Lease[T] {
	n := *l
	n.renewAt = now.Add(max(time.Second, l.ends.Sub(now)/2))
	if l.ends.IsZero() {
		n.renewAt = now.Add(max(time.Second, l.ttl/10))
	}
	return &n
}

func (l *Lease[T]) due(now time.Time) bool   { return !l.renewAt.IsZero() && !now.Before(l.renewAt) }
func (l *Lease[T]) ended(now time.Time) bool { return !l.ends.IsZero() && !now.Before(l.ends) }
