package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

// ready gives a store that has logged in, so that faults meet its calls.
func ready(t *testing.T, more set) (*store, func(n int, f fault.Fault), func(prefix string) int) {
	t.Helper()
	f := newFake(t)
	st := openStore(t, f, more)
	if _, err := st.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st, f.Faults.Next, f.Count
}

func TestAnswersHaveTheirCodes(t *testing.T) {
	for name, c := range map[string]struct {
		fault fault.Fault
		want  sdk.Code
		tries int
	}{
		"bad request":          {fault.Fault{Status: 400}, sdk.InvalidArgument, 1},
		"denied":               {fault.Fault{Status: 403}, sdk.PermissionDenied, 1},
		"missing":              {fault.Fault{Status: 404, Body: `{"error":{"code":"not_found","message":"CONJ00076E Variable x is empty or not found."}}`}, sdk.NotFound, 1},
		"missing, no words":    {fault.Fault{Status: 404}, sdk.NotFound, 1},
		"somebody else's page": {fault.Fault{Status: 404, Body: "<html>404</html>"}, sdk.FailedPrecondition, 1},
		"a redirect":           {fault.Fault{Status: 302}, sdk.FailedPrecondition, 1},
		"not here":             {fault.Fault{Status: 405}, sdk.Unimplemented, 1},
		"unprocessable":        {fault.Fault{Status: 422, Body: `{"error":{"code":"argument_error","message":"why"}}`}, sdk.InvalidArgument, 1},
		"throttled":            {fault.Fault{Status: 429}, sdk.ResourceExhausted, 3},
		"broken":               {fault.Fault{Status: 500}, sdk.Unavailable, 3},
		"down":                 {fault.Fault{Status: 503}, sdk.Unavailable, 3},
		"cut":                  {fault.Fault{Cut: true}, sdk.Unavailable, 3},
	} {
		st, next, count := ready(t, nil)
		next(attempts, c.fault)
		before := count("GET /secrets")
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: readable})
		wantCode(t, name, err, c.want)
		if got := count("GET /secrets") - before; got != c.tries {
			t.Errorf("%s: %d attempts, want %d", name, got, c.tries)
		}
		if text := err.Error(); !strings.Contains(text, `get "others/readable"`) || strings.Contains(text, "\n") {
			t.Errorf("%s: %q is not one line that says what was asked for", name, text)
		}
	}
}

func TestAFaultThatPassesIsNotSeen(t *testing.T) {
	for name, f := range map[string]fault.Fault{
		"throttled": {Status: 429}, "broken": {Status: 500}, "cut": {Cut: true}, "slow": {Slow: 20 * time.Millisecond}, "late": {Latency: 20 * time.Millisecond},
	} {
		st, next, _ := ready(t, nil)
		next(1, f)
		if _, err := st.Get(t.Context(), sdk.GetRequest{Name: readable}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPauseBeyondTheDeadlineIsAnsweredAtOnce(t *testing.T) {
	st, next, count := ready(t, nil)
	next(1, fault.Fault{Status: 429, RetryAfter: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	before := count("GET /secrets")
	_, err := st.Get(ctx, sdk.GetRequest{Name: readable})
	wantCode(t, "get", err, sdk.ResourceExhausted)
	if got := asError(err).RetryAfter; got != time.Hour {
		t.Errorf("come again after %v, want 1h", got)
	}
	if got := count("GET /secrets") - before; got != 1 {
		t.Errorf("%d attempts, want 1", got)
	}
}

func TestAPolicyLoadThatMeetsAnotherIsTriedAgain(t *testing.T) {
	st, next, count := ready(t, set{"policy_branch": branch})
	conflict := fault.Fault{Status: 409, Body: `{"error":{"code":"policy_conflict","message":"Concurrent policy load in progress, please retry"}}`}
	next(1, fault.Fault{Status: 404}) // of the first set
	next(2, conflict)
	put(t, st, branch+"/x", "value")
	if got := count("POST /policies"); got != 3 {
		t.Errorf("%d loads, want 3", got)
	}
	next(attempts, conflict)
	_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: branch + "/x"})
	wantCode(t, "delete", err, sdk.Unavailable)
	if got := asError(err).Reason; got != "policy_conflict" {
		t.Errorf("reason %q, want Conjur's own", got)
	}
}

func TestMalformedAnswersAreNoSecrets(t *testing.T) {
	st, next, _ := ready(t, nil)
	names := []string{readable}
	next(1, fault.Fault{Malformed: true})
	_, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: names})
	wantCode(t, "batch", err, sdk.Internal)
	next(1, fault.Fault{Malformed: true})
	_, err = st.Stat(t.Context(), sdk.StatRequest{Name: readable})
	wantCode(t, "stat", err, sdk.Internal)
	next(1, fault.Fault{Malformed: true})
	_, err = st.List(t.Context(), sdk.ListRequest{PageSize: 1})
	wantCode(t, "list", err, sdk.Internal)
}

// An answer that is well formed and means nothing. The last is a server that does not know the encoding of batches.
func TestAnswersWithoutContentAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		login, body string
		call        func(*store) error
		want        sdk.Code
	}{
		"a login without a token": {`{}`, ``, func(st *store) error { _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); return err }, sdk.Internal},
		"an empty value":          {aToken, ``, func(st *store) error { _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); return err }, sdk.Internal},
		"nobody":                  {aToken, `{}`, func(st *store) error { _, err := st.Check(t.Context()); return err }, sdk.Internal},
		"another variable":        {aToken, `{"id":"myorg:variable:y"}`, func(st *store) error { _, err := st.Stat(t.Context(), sdk.StatRequest{Name: "x"}); return err }, sdk.Internal},
		"a batch without encoding": {aToken, `{"myorg:variable:x":"plain text!"}`, func(st *store) error {
			_, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"x"}})
			return err
		}, sdk.Unimplemented},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/authn/") {
				_, _ = w.Write([]byte(c.login))
				return
			}
			_, _ = w.Write([]byte(c.body))
		}))
		st := openStore(t, newFake(t), set{"address": server.URL})
		wantCode(t, name, c.call(st), c.want)
		server.Close()
	}
}

const aToken = `{"protected":"e30=","payload":"e30=","signature":"x"}`

func TestNoErrorTellsAValue(t *testing.T) {
	st, next, _ := ready(t, set{"policy_branch": branch})
	quoting := `{"error":{"code":"argument_error","message":"canary-value is no value"}}`
	next(1, fault.Fault{Status: 422, Body: quoting})
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: branch + "/x", Value: sdk.SensitiveString("canary-value")})
	wantCode(t, "put", err, sdk.InvalidArgument)
	if strings.Contains(err.Error(), "canary") {
		t.Error("the error holds the value")
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	st, next, _ := ready(t, nil)
	next(1, fault.Fault{Latency: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := st.Get(ctx, sdk.GetRequest{Name: readable})
	wantCode(t, "get", err, sdk.Canceled)
}
