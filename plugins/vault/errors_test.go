package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryAnswerHasItsCode(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   sdk.Code
	}{
		"absent":             {404, `{"errors":[]}`, sdk.NotFound},
		"no such mount":      {404, `{"errors":["no handler for route"]}`, sdk.FailedPrecondition},
		"other kv version":   {404, `{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine"]}`, sdk.FailedPrecondition},
		"deleted":            {404, `{"data":{"data":null,"metadata":{"version":2,"deletion_time":"2020-01-01T00:00:00Z"}}}`, sdk.FailedPrecondition},
		"destroyed":          {404, `{"data":{"data":null,"metadata":{"version":2,"destroyed":true}}}`, sdk.NotFound},
		"denied":             {403, denied, sdk.PermissionDenied},
		"malformed":          {400, `{"errors":["bad"]}`, sdk.InvalidArgument},
		"a proxy's login":    {401, `<html>`, sdk.Unauthenticated},
		"wrong method":       {405, `{"errors":[]}`, sdk.Unimplemented},
		"throttled":          {429, `{"errors":["quota"]}`, sdk.ResourceExhausted},
		"sealed":             {503, `{"errors":["Vault is sealed"]}`, sdk.Unavailable},
		"broken":             {500, `{"errors":["internal"]}`, sdk.Unavailable},
		"standby lags":       {412, `{"errors":["required index state not present"]}`, sdk.Unavailable},
		"not Vault":          {200, `<html>hello</html>`, sdk.Internal},
		"another engine":     {200, `{"data":{"a":"b"}}`, sdk.Internal},
		"nothing":            {200, ``, sdk.Internal},
		"a field that is no": {200, `{"data":{"data":[1],"metadata":{"version":1}}}`, sdk.Internal},
		"no field":           {200, `{"data":{"data":{"other":"x"},"metadata":{"version":1}}}`, sdk.NotFound},
		"null field":         {200, `{"data":{"data":{"key":null},"metadata":{"version":1}}}`, sdk.NotFound},
		"empty field":        {200, `{"data":{"data":{"key":""},"metadata":{"version":1}}}`, sdk.FailedPrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: reply(tc.status, tc.body)})
			_, err := openStore(t, f.URL, map[string]any{"field": "key"}).Get(t.Context(), sdk.GetRequest{Name: "x"})
			wantCode(t, "get", err, tc.want)
			if err != nil && strings.ContainsAny(err.Error(), "\n\t") {
				t.Errorf("the message has more than one line: %q", err)
			}
			if got := f.calls(getPath); got > 3 {
				t.Errorf("%d attempts, want at most 3", got)
			}
		})
	}
}

func TestThrottlingSaysWhenToComeAgainAndDoesNotWaitBeyondTheDeadline(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "120")
		reply(429, `{"errors":["quota"]}`)(w, r)
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := openStore(t, f.URL, nil).Get(ctx, sdk.GetRequest{Name: "x"})
	wantCode(t, "get", err, sdk.ResourceExhausted)
	if got := asError(err).RetryAfter; got != 2*time.Minute {
		t.Errorf("retry after %v, want 2m", got)
	}
	if got := f.calls(getPath); got != 1 {
		t.Errorf("%d attempts, want 1", got)
	}
}

func TestAPassingFaultIsRetriedWithinTheCall(t *testing.T) {
	var n atomic.Int32
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			reply(503, `{"errors":["standby"]}`)(w, r)
			return
		}
		reply(200, hello)(w, r)
	}})
	get(t, openStore(t, f.URL, nil))
}

func TestAWriteThatMayHaveHappenedIsNotRepeated(t *testing.T) {
	const put = "PUT /v1/secret/data/x"
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), put: func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}})
	_, err := openStore(t, f.URL, nil).Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(`{"a":"b"}`), If: sdk.IfVersion("3")})
	wantCode(t, "put whose answer was lost", err, sdk.Unavailable)
	if got := f.calls(put); got != 1 {
		t.Errorf("%d writes, want 1", got)
	}
}

func TestRefusalsOnTheWayKeepTheirCode(t *testing.T) {
	refusal := sdk.Errorf(sdk.PermissionDenied, "dial: not an endpoint of this store")
	refusal.Reason = "reach"
	for name, tc := range map[string]struct {
		dial error
		want sdk.Code
	}{
		"the host refuses": {refusal, sdk.PermissionDenied},
		"nobody listens":   {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, sdk.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int32
			env := sdk.Env{DialContext: func(context.Context, string, string) (net.Conn, error) { dials.Add(1); return nil, tc.dial }}
			o, err := plugin().Open(t.Context(), env, settings(t, "http://127.0.0.1:8200", nil))
			if err != nil {
				t.Fatal(err)
			}
			_, err = o.Store.(*store).Get(t.Context(), sdk.GetRequest{Name: "x"})
			wantCode(t, "get", err, tc.want)
			if got := dials.Load(); got > 3 {
				t.Errorf("%d dials, want at most 3", got)
			}
		})
	}
}

func TestADeadlineAndACallerThatLeavesAreTold(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: hang})
	st := openStore(t, f.URL, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := st.Get(ctx, sdk.GetRequest{Name: "x"})
	wantCode(t, "a server that hangs", err, sdk.DeadlineExceeded)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = st.Get(gone, sdk.GetRequest{Name: "x"})
	wantCode(t, "a caller that left", err, sdk.Canceled)
}

func TestAnAnswerToAWriteIsNotQuoted(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), "PUT /v1/secret/data/x": reply(400, `{"errors":["cannot convert \"canary-value\""]}`)})
	_, err := openStore(t, f.URL, nil).Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(`{"a":"canary-value"}`)})
	wantCode(t, "put", err, sdk.InvalidArgument)
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error quotes the value: %v", err)
	}
}
