package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	// hold is how long a verdict about a token stands, and the least time between two logins after refusals: a policy
	// that denies, or a backend that forgets us, must not become a storm of logins.
	hold = 5 * time.Second
	// renewTimeout bounds a renewal, which one of the callers does on its way.
	renewTimeout = 5 * time.Second
)

// session keeps the one token that all calls of a store share. It logs in on the first call, renews while it is used, and
// logs in again when the lease has ended or the token is refused. One caller at a time does such work; others who need it
// wait and share the outcome, and those whose token still holds do not wait. No lock is held across a request.
type session struct {
	base    *api.Client // without token
	secrets string      // namespace of the secrets
	login   string      // namespace of the login
	method  method
	logger  *slog.Logger
	now     func() time.Time

	mu     sync.Mutex
	cur    *lease  // nil before the first login
	flight *flight // nil: nobody is at work

	// Only the worker of a flight touches these two.
	verdict verdict   // about cur
	relogin time.Time // the last after a refusal
}

// flight is the work of one caller on the session.
type flight struct {
	done chan struct{}
	err  error
	left bool // the worker's own context ended: the next one takes over
}

// verdict is what was found out about a token that was refused.
type verdict struct {
	at  time.Time
	err error // nil: the token is good, so the refusal was about the path; else why there is no other token
}

func (v verdict) stands(now time.Time) bool { return !v.at.IsZero() && now.Sub(v.at) < hold }

// lease is a token with its term. It never changes.
type lease struct {
	client    *api.Client // with the token, in the namespace of the secrets
	self      *api.Client // with the token, in the namespace of the login
	ttl       time.Duration
	renewable bool
	ours      bool      // made by our login, and revoked when we are done with it
	renewAt   time.Time // zero: never
	ends      time.Time // zero: never, or nothing to be done about it
}

func (l *lease) clientFor(r call) *api.Client {
	if r.login {
		return l.self
	}
	return l.client
}

func (l *lease) due(now time.Time) bool   { return !l.renewAt.IsZero() && !now.Before(l.renewAt) }
func (l *lease) ended(now time.Time) bool { return !l.ends.IsZero() && !now.Before(l.ends) }

// newLease schedules a token: renewal after two thirds of its term, the end a tenth early, so that no request leaves with
// a token that ends under way. A term of zero has no end.
func (s *session) newLease(token string, ttl time.Duration, renewable bool) *lease {
	l := &lease{client: s.base.WithNamespace(s.secrets), self: s.base.WithNamespace(s.login), ours: s.method.grants}
	l.client.SetToken(token)
	l.self.SetToken(token)
	return l.term(s.now(), ttl, renewable, s.method.again)
}

// term gives a copy of l with a new term. again says whether a login can follow it.
func (l *lease) term(now time.Time, ttl time.Duration, renewable, again bool) *lease {
	n := *l
	n.ttl, n.renewable, n.renewAt, n.ends = ttl, renewable, time.Time{}, time.Time{}
	if ttl > 0 && (renewable || again) {
		n.renewAt = now.Add(ttl * 2 / 3)
	}
	if ttl > 0 && again {
		n.ends = now.Add(ttl - ttl/10)
	}
	return &n
}

// lease gives a token to use now.
func (s *session) lease(ctx context.Context) (*lease, error) {
	s.mu.Lock()
	l, busy, now := s.cur, s.flight != nil, s.now()
	s.mu.Unlock()
	switch {
	case l == nil || l.ended(now):
		return s.work(ctx, l, s.logIn)
	case l.due(now) && !busy:
		return s.work(ctx, l, s.renew)
	}
	return l, nil
}

// work runs f, which answers the lease that follows old, unless somebody else has already replaced old.
func (s *session) work(ctx context.Context, old *lease, f func(context.Context, *lease) (*lease, error)) (*lease, error) {
	for {
		s.mu.Lock()
		if s.cur != old {
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

func (s *session) fly(ctx context.Context, mine *flight, old *lease, f func(context.Context, *lease) (*lease, error)) (l *lease, err error) {
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

func (s *session) logIn(ctx context.Context, _ *lease) (*lease, error) {
	l, err := s.method.login(ctx, s)
	if err != nil {
		return nil, err
	}
	s.logger.DebugContext(ctx, "logged in", "method", s.method.name, "ttl", l.ttl, "renewable", l.renewable)
	return l, nil
}

// renew extends a lease, or logs in where it cannot be extended. When neither works the token at hand still holds, and
// the next try is due when half of what remains has passed.
func (s *session) renew(ctx context.Context, old *lease) (*lease, error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if old.renewable {
		a, err := send(ctx, old.self, call{op: "renew", object: "token", method: http.MethodPut, path: "auth/token/renew-self", body: struct{}{}})
		if err == nil && a.Auth != nil {
			ttl := time.Duration(a.Auth.LeaseDuration) * time.Second
			// A term that shrinks has met the token's maximum; another renewal would not lengthen it.
			return old.term(s.now(), ttl, a.Auth.Renewable && ttl > old.ttl/2, s.method.again), nil
		}
	}
	var err error = sdk.Errorf(sdk.Unauthenticated, "renew: not possible")
	if s.method.again {
		var l *lease
		if l, err = s.logIn(ctx, old); err == nil {
			return l, nil
		}
	}
	s.logger.WarnContext(ctx, "token not renewed", "code", sdk.CodeOf(err).String())
	later, now := *old, s.now()
	later.renewAt = now.Add(max(time.Second, old.ends.Sub(now)/2))
	if old.ends.IsZero() {
		later.renewAt = now.Add(max(time.Second, old.ttl/10))
	}
	return &later, nil
}

// refused is called when Vault answered 403 to a request with l. It gives another lease to repeat the request with, or l
// itself when the refusal is about the path, or Unauthenticated. Vault says 403 to an ended token and to a denied path
// alike, so the token is looked up first: a denied path never costs a login.
func (s *session) refused(ctx context.Context, l *lease) (*lease, error) {
	return s.work(ctx, l, func(ctx context.Context, l *lease) (*lease, error) {
		now := s.now()
		if s.verdict.stands(now) {
			return l, s.verdict.err
		}
		_, err := lookUp(ctx, l.self)
		if err != nil && !isForbidden(err) {
			return nil, err
		}
		if err == nil {
			s.verdict = verdict{at: now}
			return l, nil
		}
		if !s.relogin.IsZero() && now.Sub(s.relogin) < hold {
			return l, nil
		}
		n, err := s.another(ctx, l)
		if err != nil && ctx.Err() == nil {
			s.verdict = verdict{at: now, err: err}
		}
		return n, err
	})
}

// another logs in for a token other than that of l, which has ended.
func (s *session) another(ctx context.Context, l *lease) (*lease, error) {
	if s.method.again {
		n, err := s.logIn(ctx, l)
		if err != nil {
			return nil, err
		}
		if n.self.Token() != l.self.Token() { // a file may still hold the old one
			s.relogin = s.now()
			return n, nil
		}
	}
	return nil, sdk.Errorf(sdk.Unauthenticated, "login: the token is not accepted; it may have ended or been revoked")
}

// close revokes the token if it was made for us: leases that nobody uses burden the server until they end.
func (s *session) close(ctx context.Context) {
	s.mu.Lock()
	l := s.cur
	s.cur = nil
	s.mu.Unlock()
	if l == nil || !l.ours {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := send(ctx, l.self, call{op: "close", object: "token", method: http.MethodPut, path: "auth/token/revoke-self", body: struct{}{}}); err != nil {
		s.logger.DebugContext(ctx, "token not revoked", "code", sdk.CodeOf(err).String())
	}
}
