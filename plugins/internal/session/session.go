// Package session keeps the one login that all calls of a store share: it logs in on the first call, renews while the
// token is used, and logs in again when its term has ended or the backend refuses it.
//
// One caller at a time does such work, on its way and within its own deadline. Others who need the outcome wait and share
// it; those whose token still holds do not wait. No lock is held across a request, and no goroutine is left behind.
package session

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	// Hold is how long a verdict stands, that refused credentials or a refused token are no good or that a token is good
	// after all, and the least time between two logins after refusals: a policy that denies, or a backend that forgets us,
	// must not become a storm of logins, nor lock an account out.
	Hold = 5 * time.Second
	// renewTimeout bounds a renewal: the caller who does it has a token that still holds.
	renewTimeout = 5 * time.Second
)

// Grant is a token as a login or a renewal gives it.
type Grant[T any] struct {
	Token     T
	TTL       time.Duration // from now; zero: it has no end
	Renewable bool          // [Source.Renew] may lengthen it
}

// Source is how tokens come about. Its functions are called by one caller at a time, with that caller's context.
type Source[T any] struct {
	// Login gives a token. Credentials that the backend does not accept are Unauthenticated.
	Login func(context.Context) (Grant[T], error)
	// Once says that another Login gives no other token, since it was made elsewhere and is part of the settings.
	Once bool
	// Renew lengthens the term of a token. Nil: a token that nears its end is replaced by a login.
	Renew func(context.Context, T) (Grant[T], error)
	// Verify asks about a token that was refused: nil when it is good, so that the refusal was about the object;
	// Unauthenticated or PermissionDenied when it is not. Nil where the backend's refusal can only mean the token.
	Verify func(context.Context, T) error
	// Same reports whether a login has given the refused token again, as a file may. Nil: never.
	Same func(a, b T) bool
	// Logger hears of logins; nil: nobody does.
	Logger *slog.Logger
}

// Session shares the token of a source. It is safe for concurrent use.
type Session[T any] struct {
	source Source[T]

	mu     sync.Mutex
	cur    *Lease[T] // nil before the first login
	flight *flight   // nil: nobody is at work

	// Only the worker of a flight touches these three.
	verdict verdict   // about cur
	refused verdict   // about the credentials; its err is never nil
	relogin time.Time // the last after a refusal
}

// flight is the work of one caller on the session.
type flight struct {
	done chan struct{}
	err  error
	left bool // the worker's own context ended: the next one takes over
}

// verdict is what was found out about a token or about credentials that were refused.
type verdict struct {
	at  time.Time
	err error // nil: the token is good, so the refusal was about the object; else why there is no other token
}

func (v verdict) stands(now time.Time) bool { return !v.at.IsZero() && now.Sub(v.at) < Hold }

// New makes a session that has not logged in.
func New[T any](s Source[T]) *Session[T] {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return &Session[T]{source: s}
}

// Lease gives a token to use now.
func (s *Session[T]) Lease(ctx context.Context) (*Lease[T], error) {
	s.mu.Lock()
	l, busy, now := s.cur, s.flight != nil, time.Now()
	s.mu.Unlock()
	switch {
	case l == nil || l.ended(now):
		return s.work(ctx, l, s.logIn)
	case l.due(now) && !busy:
		return s.work(ctx, l, s.renew)
	}
	return l, nil
}

// Refused is to be called when the backend refused a request with l. It gives another lease to repeat the request with, or
// l itself when the refusal stands, or the error that there is no login. A refusal that is about the object costs no login.
func (s *Session[T]) Refused(ctx context.Context, l *Lease[T]) (*Lease[T], error) {
	return s.work(ctx, l, s.judge)
}

// End gives up the lease, for the caller to revoke; nil: there is none. A later call logs in anew.
func (s *Session[T]) End() *Lease[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.cur
	s.cur = nil
	return l
}

// work runs f, which answers the lease that follows old, unless somebody else has already replaced old.
func (s *Session[T]) work(ctx context.Context, old *Lease[T], f func(context.Context, *Lease[T]) (*Lease[T], error)) (*Lease[T], error) {
	for {
		s.mu.Lock()
		if s.cur != old && s.cur != nil {
			l := s.cur
			s.mu.Unlock()
			return l, nil
		}
		other := s.flight
		if other == nil {
			mine := &flight{done: make(chan struct{})}
			s.flight = mine
			s.mu.Unlock()
			return s.fly(ctx, mine, old, f)
		}
		s.mu.Unlock()
		select {
		case <-other.done:
			if other.err != nil && !other.left {
				return nil, other.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Session[T]) fly(ctx context.Context, mine *flight, old *Lease[T], f func(context.Context, *Lease[T]) (*Lease[T], error)) (l *Lease[T], err error) {
	mine.left = true // and so after a panic
	defer func() {
		s.mu.Lock()
		s.flight = nil
		if l != nil && err == nil && l != s.cur {
			s.cur, s.verdict = l, verdict{}
		}
		s.mu.Unlock()
		close(mine.done)
	}()
	l, err = f(ctx, old)
	mine.err, mine.left = err, ctx.Err() != nil
	return l, err
}

func (s *Session[T]) logIn(ctx context.Context, _ *Lease[T]) (*Lease[T], error) {
	if s.refused.stands(time.Now()) {
		return nil, s.refused.err
	}
	g, err := s.source.Login(ctx)
	if err != nil {
		if sdk.CodeOf(err) == sdk.Unauthenticated {
			s.refused = verdict{at: time.Now(), err: err}
		}
		return nil, err
	}
	s.source.Logger.DebugContext(ctx, "logged in", "ttl", g.TTL, "renewable", g.Renewable)
	return newLease(g, s.source.Once), nil
}

// renew lengthens a lease, or logs in where it cannot be lengthened. When neither works the token at hand still holds, and
// the next try is due when half of what remains has passed.
func (s *Session[T]) renew(ctx context.Context, old *Lease[T]) (*Lease[T], error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if old.renewable && s.source.Renew != nil {
		g, err := s.source.Renew(ctx, old.Token)
		if err == nil {
			// A term that shrinks has met the token's maximum; another renewal would not lengthen it.
			g.Renewable = g.Renewable && g.TTL > old.ttl/2
			return newLease(g, s.source.Once), nil
		}
	}
	var err error = sdk.Errorf(sdk.Unauthenticated, "renew: not possible")
	if !s.source.Once {
		var l *Lease[T]
		if l, err = s.logIn(ctx, old); err == nil {
			return l, nil
		}
	}
	s.source.Logger.WarnContext(ctx, "token not renewed", "code", sdk.CodeOf(err).String())
	return old.later(time.Now()), nil
}

// judge finds out what a refusal of l was about, and logs in again when it was about the token.
func (s *Session[T]) judge(ctx context.Context, l *Lease[T]) (*Lease[T], error) {
	now := time.Now()
	if s.verdict.stands(now) {
		return l, s.verdict.err
	}
	if s.source.Verify != nil {
		err := s.source.Verify(ctx, l.Token)
		if err == nil {
			s.verdict = verdict{at: now}
			return l, nil
		}
		if c := sdk.CodeOf(err); c != sdk.Unauthenticated && c != sdk.PermissionDenied {
			return nil, err
		}
	}
	if !s.relogin.IsZero() && now.Sub(s.relogin) < Hold {
		return l, nil
	}
	n, err := s.another(ctx, l)
	if sdk.CodeOf(err) == sdk.Unauthenticated {
		s.verdict = verdict{at: now, err: err}
	}
	return n, err
}

// another logs in for a token other than that of l, which was refused.
func (s *Session[T]) another(ctx context.Context, l *Lease[T]) (*Lease[T], error) {
	if !s.source.Once {
		n, err := s.logIn(ctx, l)
		if err != nil {
			return nil, err
		}
		if s.source.Same == nil || !s.source.Same(n.Token, l.Token) {
			s.relogin = time.Now()
			return n, nil
		}
	}
	return nil, sdk.Errorf(sdk.Unauthenticated, "login: the token is not accepted; it may have ended or been revoked")
}
