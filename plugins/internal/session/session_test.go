package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// backend gives the tokens t1, t2, … and knows which of them are good.
type backend struct {
	ttl       time.Duration
	renewable bool
	logins    atomic.Int32
	renewals  atomic.Int32
	looks     atomic.Int32
	good      sync.Map
	denied    atomic.Bool // the credentials are not accepted
	down      atomic.Bool
	renewTTL  time.Duration // zero: not renewed
}

func (b *backend) source() Source[string] {
	return Source[string]{Login: b.login, Renew: b.renew, Verify: b.verify}
}

func (b *backend) login(ctx context.Context) (Grant[string], error) {
	n := b.logins.Add(1)
	select { // what a request takes, so that callers meet
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return Grant[string]{}, ctx.Err()
	}
	if b.down.Load() {
		return Grant[string]{}, sdk.Errorf(sdk.Unavailable, "login: down")
	}
	if b.denied.Load() {
		return Grant[string]{}, sdk.Errorf(sdk.Unauthenticated, "login: refused")
	}
	token := fmt.Sprintf("t%d", n)
	b.good.Store(token, true)
	return Grant[string]{Token: token, TTL: b.ttl, Renewable: b.renewable}, nil
}

func (b *backend) renew(_ context.Context, token string) (Grant[string], error) {
	b.renewals.Add(1)
	if b.renewTTL == 0 {
		return Grant[string]{}, sdk.Errorf(sdk.InvalidArgument, "renew: refused")
	}
	return Grant[string]{Token: token, TTL: b.renewTTL, Renewable: b.renewable}, nil
}

func (b *backend) verify(_ context.Context, token string) error {
	b.looks.Add(1)
	if b.down.Load() {
		return sdk.Errorf(sdk.Unavailable, "verify: down")
	}
	if _, ok := b.good.Load(token); !ok {
		return sdk.Errorf(sdk.Unauthenticated, "verify: bad token")
	}
	return nil
}

// call is what a store does: one request, and another with a new token if the first one is refused.
func (b *backend) call(ctx context.Context, s *Session[string]) (string, error) {
	l, err := s.Lease(ctx)
	if err != nil {
		return "", err
	}
	if _, ok := b.good.Load(l.Token); ok {
		return l.Token, nil
	}
	n, err := s.Refused(ctx, l)
	if err != nil {
		return "", err
	}
	if _, ok := b.good.Load(n.Token); !ok {
		return "", sdk.Errorf(sdk.PermissionDenied, "get: refused")
	}
	return n.Token, nil
}

func (b *backend) want(t *testing.T, s *Session[string], token string) {
	t.Helper()
	if got, err := b.call(t.Context(), s); got != token || err != nil {
		t.Errorf("call with token %q, %v; want %q", got, err, token)
	}
}

func (b *backend) wantCode(t *testing.T, s *Session[string], what string, want sdk.Code) {
	t.Helper()
	if _, err := b.call(t.Context(), s); sdk.CodeOf(err) != want {
		t.Errorf("%s: code %v (%v), want %v", what, sdk.CodeOf(err), err, want)
	}
}

func wantCount(t *testing.T, what string, got *atomic.Int32, want int32) {
	t.Helper()
	if n := got.Load(); n != want {
		t.Errorf("%s: %d, want %d", what, n, want)
	}
}

// inBubble runs a test in which time passes when everybody waits for it.
func inBubble(t *testing.T, b *backend, f func(t *testing.T, s *Session[string])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, New(b.source())) })
}

func everyone(t *testing.T, n int, b *backend, s *Session[string], token string) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { b.want(t, s, token) })
	}
	wg.Wait()
}

func TestManyCallersLogInOnceAndOnceAfterARevocation(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		everyone(t, 32, b, s, "t1")
		b.good.Delete("t1")
		everyone(t, 32, b, s, "t2")
		wantCount(t, "logins", &b.logins, 2)
	})
}

func TestATokenInUseIsRenewedAndAnUnusedOneReplaced(t *testing.T) {
	b := &backend{ttl: time.Minute, renewTTL: time.Minute, renewable: true}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		for range 5 {
			b.want(t, s, "t1")
			<-time.After(41 * time.Second)
		}
		wantCount(t, "renewals", &b.renewals, 4)
		<-time.After(time.Minute)
		b.want(t, s, "t2")
	})
}

func TestATokenThatCannotBeRenewedIsReplacedBeforeItEnds(t *testing.T) {
	b := &backend{ttl: 8 * time.Minute}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.want(t, s, "t1")
		<-time.After(6 * time.Minute)
		b.want(t, s, "t2")
		wantCount(t, "renewals", &b.renewals, 0)
	})
}

func TestARenewalThatShortensTheTermIsTheLastOne(t *testing.T) {
	b := &backend{ttl: time.Minute, renewTTL: 20 * time.Second, renewable: true}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.want(t, s, "t1")
		<-time.After(41 * time.Second)
		b.want(t, s, "t1")
		<-time.After(15 * time.Second)
		b.want(t, s, "t2")
		wantCount(t, "renewals", &b.renewals, 1)
	})
}

func TestWithoutRenewalAndLoginTheTokenAtHandServesToItsEnd(t *testing.T) {
	b := &backend{ttl: time.Minute, renewable: true}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.want(t, s, "t1")
		b.denied.Store(true)
		for range 3 {
			<-time.After(14 * time.Second)
			b.want(t, s, "t1")
		}
		<-time.After(14 * time.Second)
		b.wantCode(t, s, "after the end", sdk.Unauthenticated)
		b.denied.Store(false)
		<-time.After(Hold)
		b.want(t, s, "t4")
	})
}

func TestRefusedCredentialsAreNotTriedAgainAtOnce(t *testing.T) {
	b := &backend{ttl: time.Hour}
	b.denied.Store(true)
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		for range 10 {
			b.wantCode(t, s, "refused credentials", sdk.Unauthenticated)
		}
		wantCount(t, "logins", &b.logins, 1)
		b.denied.Store(false)
		<-time.After(Hold)
		b.want(t, s, "t2")
	})
}

func TestABackendThatIsDownIsAskedAgainAtOnce(t *testing.T) {
	b := &backend{ttl: time.Hour}
	b.down.Store(true)
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.wantCode(t, s, "first login", sdk.Unavailable)
		b.down.Store(false)
		b.want(t, s, "t2")
		b.good.Delete("t2")
		b.down.Store(true)
		b.wantCode(t, s, "look-up of a refused token", sdk.Unavailable)
		b.down.Store(false)
		b.want(t, s, "t3")
	})
}

func TestARefusalAboutTheObjectCostsOneLookUpAndNoLogin(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.want(t, s, "t1")
		l, err := s.Lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if n, err := s.Refused(t.Context(), l); n != l || err != nil {
				t.Errorf("another lease or %v after a refusal with a good token", err)
			}
		}
		wantCount(t, "look-ups", &b.looks, 1)
		wantCount(t, "logins", &b.logins, 1)
	})
}

func TestLoginsAfterRefusalsAreApart(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		b.want(t, s, "t1")
		b.good.Delete("t1")
		b.want(t, s, "t2")
		b.good.Delete("t2")
		b.wantCode(t, s, "the next refusal at once", sdk.PermissionDenied)
		wantCount(t, "logins", &b.logins, 2)
		<-time.After(Hold)
		b.want(t, s, "t3")
	})
}

func TestWithoutVerifyEveryRefusalIsAboutTheToken(t *testing.T) {
	b := &backend{ttl: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		s := New(Source[string]{Login: b.login})
		b.want(t, s, "t1")
		b.good.Delete("t1")
		b.want(t, s, "t2")
	})
}

func TestATokenOfTheSettingsIsNeverReplaced(t *testing.T) {
	b := &backend{ttl: time.Minute, renewTTL: time.Minute, renewable: true}
	synctest.Test(t, func(t *testing.T) {
		source := b.source()
		source.Once = true
		s := New(source)
		b.want(t, s, "t1")
		<-time.After(time.Hour) // it may live on, by others' hands
		b.want(t, s, "t1")
		b.good.Delete("t1")
		for range 3 {
			b.wantCode(t, s, "refused token", sdk.Unauthenticated)
		}
		wantCount(t, "logins", &b.logins, 1)
		wantCount(t, "look-ups", &b.looks, 1)
	})
}

func TestALoginThatGivesTheRefusedTokenAgainIsNone(t *testing.T) {
	file := atomic.Pointer[string]{}
	old, fresh := "old", "fresh"
	file.Store(&old)
	b := &backend{}
	b.good.Store("old", true)
	synctest.Test(t, func(t *testing.T) {
		s := New(Source[string]{
			Login:  func(context.Context) (Grant[string], error) { return Grant[string]{Token: *file.Load()}, nil },
			Verify: b.verify,
			Same:   func(a, b string) bool { return a == b },
		})
		b.want(t, s, "old")
		b.good.Delete("old")
		b.wantCode(t, s, "the file is as before", sdk.Unauthenticated)
		b.good.Store("fresh", true)
		file.Store(&fresh)
		<-time.After(Hold)
		b.want(t, s, "fresh")
	})
}

func TestACallerThatLeavesDoesNotTakeTheLoginWithIt(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		ctx, leave := context.WithCancel(t.Context())
		var first error
		var wg sync.WaitGroup
		wg.Go(func() { _, first = b.call(ctx, s) })
		synctest.Wait()
		wg.Go(func() { b.want(t, s, "t2") })
		synctest.Wait()
		leave()
		wg.Wait()
		if sdk.CodeOf(first) != sdk.Canceled {
			t.Errorf("the one who left: %v, want canceled", first)
		}
	})
}

func TestACallerThatWaitsMayLeave(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.want(t, s, "t1") })
		synctest.Wait()
		var second error
		wg.Go(func() { _, second = b.call(ctx, s) })
		synctest.Wait()
		leave()
		wg.Wait()
		if sdk.CodeOf(second) != sdk.Canceled {
			t.Errorf("the one who left: %v, want canceled", second)
		}
	})
}

func TestAPanicInALoginLeavesTheSessionUsable(t *testing.T) {
	b := &backend{ttl: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		panics := true
		s := New(Source[string]{Login: func(ctx context.Context) (Grant[string], error) {
			if panics {
				panic("login")
			}
			return b.login(ctx)
		}})
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Lease(t.Context())
		}()
		panics = false
		b.want(t, s, "t1")
	})
}

func TestEndGivesTheLeaseOnceAndALaterCallLogsIn(t *testing.T) {
	b := &backend{ttl: time.Hour}
	inBubble(t, b, func(t *testing.T, s *Session[string]) {
		if l := s.End(); l != nil {
			t.Errorf("End of an unused session gives %q", l.Token)
		}
		b.want(t, s, "t1")
		if l := s.End(); l == nil || l.Token != "t1" {
			t.Errorf("End gives %v, want t1", l)
		}
		if l := s.End(); l != nil {
			t.Errorf("a second End gives %q", l.Token)
		}
		b.want(t, s, "t2")
	})
}
