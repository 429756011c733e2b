package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// logins is a Vault whose logins give t1, t2, … and which serves the tokens that are good.
type logins struct {
	n    atomic.Int32
	good sync.Map
}

func (l *logins) routes(ttl int) map[string]http.HandlerFunc {
	accept := func(yes string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, ok := l.good.Load(r.Header.Get("X-Vault-Token")); !ok {
				reply(403, denied)(w, r)
				return
			}
			reply(200, yes)(w, r)
		}
	}
	return map[string]http.HandlerFunc{
		loginPath: func(w http.ResponseWriter, r *http.Request) {
			token := fmt.Sprintf("t%d", l.n.Add(1))
			l.good.Store(token, true)
			reply(200, fmt.Sprintf(`{"auth":{"client_token":%q,"lease_duration":%d,"renewable":true}}`, token, ttl))(w, r)
		},
		lookUpPath:                      accept(`{"data":{"display_name":"approle","ttl":3600,"renewable":true}}`),
		renewPath:                       accept(fmt.Sprintf(`{"auth":{"client_token":"same","lease_duration":%d,"renewable":true}}`, ttl)),
		getPath:                         accept(hello),
		"GET /v1/secret/data/forbidden": reply(403, denied),
	}
}

func get(t *testing.T, st *store) {
	t.Helper()
	if s, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); err != nil || s.Version != "3" {
		t.Fatalf("get: version %q, %v; want 3", s.Version, err)
	}
}

func TestWarmGetIsOneRequest(t *testing.T) {
	var l logins
	f := newFake(t, l.routes(3600))
	st := openStore(t, f.URL, approle())
	get(t, st)
	before := f.total()
	for range 10 {
		get(t, st)
	}
	if got := f.total() - before; got != 10 {
		t.Errorf("10 warm reads made %d requests", got)
	}
}

func TestManyReadersLogInOnce(t *testing.T) {
	var l logins
	f := newFake(t, l.routes(3600))
	st := openStore(t, f.URL, approle())
	everyone(t, 32, st)
	if got := f.calls(loginPath); got != 1 {
		t.Errorf("32 readers logged in %d times, want once", got)
	}
	l.good.Delete("t1")
	everyone(t, 32, st)
	if got := f.calls(loginPath); got != 2 {
		t.Errorf("after the token was revoked there were %d logins, want 2", got)
	}
}

func everyone(t *testing.T, n int, st *store) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); err != nil {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestADeniedPathCostsNoLogin(t *testing.T) {
	var l logins
	f := newFake(t, l.routes(3600))
	st := openStore(t, f.URL, approle())
	get(t, st)
	for range 5 {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "forbidden"})
		wantCode(t, "denied path", err, sdk.PermissionDenied)
	}
	if logins, lookUps := f.calls(loginPath), f.calls(lookUpPath); logins != 1 || lookUps != 1 {
		t.Errorf("5 denied reads made %d logins and %d look-ups, want 1 and 1", logins, lookUps)
	}
}

func TestARefusedLoginSaysSoWithoutItsCredentials(t *testing.T) {
	for status, want := range map[int]sdk.Code{400: sdk.Unauthenticated, 403: sdk.Unauthenticated, 404: sdk.Unauthenticated, 503: sdk.Unavailable} {
		f := newFake(t, map[string]http.HandlerFunc{loginPath: reply(status, `{"errors":["invalid: canary-secret-id"]}`)})
		_, err := openStore(t, f.URL, approle()).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, fmt.Sprintf("login answered %d", status), err, want)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes the credentials: %v", err)
		}
	}
}

func TestARefusedLoginSaysWhyInTheServersWords(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{loginPath: reply(400, `{"errors":["invalid role or secret ID"]}`), "PUT /v1/auth/jwt/login": reply(400, `{"errors":["no claims in \"canary\" for the role \"gw\""]}`)})
	_, err := openStore(t, f.URL, approle()).Get(t.Context(), sdk.GetRequest{Name: "x"})
	if err == nil || !strings.Contains(err.Error(), "invalid role or secret ID") {
		t.Errorf("the error does not tell what the server said: %v", err)
	}
	_, err = openStore(t, f.URL, auth("jwt", "role", "gw", "token", "head.canary.sign")).Get(t.Context(), sdk.GetRequest{Name: "x"})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error quotes a part of the token: %v", err)
	}
}

func TestALoginThatIsThrottledSaysWhenToComeAgain(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{loginPath: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "120")
		reply(429, `{"errors":["request path \"auth/approle/login\": rate limit quota exceeded"]}`)(w, r)
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := openStore(t, f.URL, approle()).Get(ctx, sdk.GetRequest{Name: "x"})
	wantCode(t, "login answered 429", err, sdk.ResourceExhausted)
	if got := asError(err).RetryAfter; got != 2*time.Minute {
		t.Errorf("retry after %v, want 2m", got)
	}
}

func TestARefusedTokenIsUnauthenticated(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{getPath: reply(403, denied), lookUpPath: reply(403, denied)})
	_, err := openStore(t, f.URL, nil).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with a wrong token", err, sdk.Unauthenticated)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the session does in time is tested there; these hold that it is wired to Vault's API.
func TestALeaseIsRenewedAndWhenThatFailsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logins
		routes := l.routes(60)
		f, env := newFakeInBubble(t, routes)
		st := openWith(t, env, f.URL, approle())
		for range 5 {
			get(t, st)
			<-time.After(41 * time.Second)
		}
		if renewals, logins := f.calls(renewPath), f.calls(loginPath); renewals != 4 || logins != 1 {
			t.Errorf("%d renewals and %d logins, want 4 and 1", renewals, logins)
		}
		routes[renewPath] = reply(400, `{"errors":["lease is not renewable"]}`)
		get(t, st)
		if got := f.calls(loginPath); got != 2 {
			t.Errorf("%d logins after a renewal that failed, want 2", got)
		}
		<-time.After(time.Minute)
		get(t, st)
		if got := f.calls(loginPath); got != 3 {
			t.Errorf("%d logins after the lease ended unused, want 3", got)
		}
	})
}

func TestARefusedTokenAndALoginThatFailsSayTheLoginsCode(t *testing.T) {
	for status, want := range map[int]sdk.Code{400: sdk.Unauthenticated, 503: sdk.Unavailable} {
		synctest.Test(t, func(t *testing.T) {
			var l logins
			routes := l.routes(3600)
			f, env := newFakeInBubble(t, routes)
			st := openWith(t, env, f.URL, approle())
			get(t, st)
			login := routes[loginPath]
			routes[loginPath] = reply(status, `{"errors":["no"]}`)
			l.good.Delete("t1")
			for range 2 {
				_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
				wantCode(t, fmt.Sprintf("get while logins answer %d", status), err, want)
			}
			routes[loginPath] = login
			<-time.After(session.Hold)
			get(t, st)
		})
	}
}

func TestATokenFileIsReadAgainWhenItsTokenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l logins
		l.good.Store("first", true)
		f, env := newFakeInBubble(t, l.routes(3600))
		path := filepath.Join(t.TempDir(), "token")
		writeFile(t, path, "first\n")
		st := openWith(t, env, f.URL, map[string]any{"auth": map[string]any{"token_file": map[string]any{"path": path}}})
		get(t, st)
		l.good.Delete("first")
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "the file still holds the refused token", err, sdk.Unauthenticated)
		l.good.Store("second", true)
		writeFile(t, path, "second\n")
		<-time.After(session.Hold)
		get(t, st)
		writeFile(t, path, "")
		<-time.After(time.Hour)
		_, err = st.Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "the file is empty when the lease has ended", err, sdk.Unauthenticated)
	})
}

func TestCloseRevokesTheTokenOfALoginAndNoOther(t *testing.T) {
	const revoke = "PUT /v1/auth/token/revoke-self"
	var l logins
	l.good.Store("hvs.canary", true)
	f := newFake(t, l.routes(3600))
	for _, set := range []map[string]any{approle(), nil} {
		st := openStore(t, f.URL, set)
		get(t, st)
		if err := st.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		if got := f.calls(revoke); got != 1 {
			t.Errorf("%d revocations, want 1: the login's", got)
		}
	}
}
