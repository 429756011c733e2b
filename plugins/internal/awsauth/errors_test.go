package awsauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

// asked makes one call of a JSON service that a handler plays, and tells how many requests it took.
func asked(t *testing.T, ctx context.Context, handler http.HandlerFunc, env sdk.Env) (requests int, err error) { //nolint:revive // t comes first in tests
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n.Add(1)
		handler(w, q)
	}))
	defer srv.Close()
	s := service(Settings{Region: "eu-west-1", Endpoint: srv.URL, Auth: Auth{Static: key()}})
	if env.HTTPClient == nil {
		env.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	x, err := s.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	id := "a"
	_, err = Do(ctx, x, Call{Op: "get", Object: id, Service: "Secrets Manager", Needs: "secretsmanager:GetSecretValue", Codes: map[string]sdk.Code{"ResourceNotFoundException": sdk.NotFound}},
		secretsmanager.NewFromConfig(x.Config).GetSecretValue, &secretsmanager.GetSecretValueInput{SecretId: &id})
	return int(n.Load()), err
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Requestid", "r-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// asError gives what a caller of the store is told; the zero Error where it is none of ours.
func asError(t *testing.T, err error) *sdk.Error {
	t.Helper()
	e := &sdk.Error{}
	if !errors.As(err, &e) {
		t.Errorf("%v is no error of the contract", err)
	}
	return e
}

func TestAnswersGetTheirCodes(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		want     sdk.Code
		reason   string
		requests int
	}{
		"a word of the service":        {400, `{"__type":"ResourceNotFoundException","Message":"no"}`, sdk.NotFound, "ResourceNotFoundException", 1},
		"a word with its namespace":    {400, `{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException"}`, sdk.NotFound, "ResourceNotFoundException", 1},
		"denied":                       {400, `{"__type":"AccessDeniedException","Message":"User: x is not authorized"}`, sdk.PermissionDenied, "AccessDeniedException", 1},
		"a key that is unknown":        {400, `{"__type":"UnrecognizedClientException"}`, sdk.Unauthenticated, "UnrecognizedClientException", 1},
		"a session that has ended":     {400, `{"__type":"ExpiredTokenException"}`, sdk.Unauthenticated, "ExpiredTokenException", 1},
		"a bad signature":              {400, `{"__type":"InvalidSignatureException"}`, sdk.Unauthenticated, "InvalidSignatureException", 1},
		"throttled":                    {400, `{"__type":"ThrottlingException"}`, sdk.ResourceExhausted, "ThrottlingException", 3},
		"AWS's own trouble":            {500, `{"__type":"InternalServiceError"}`, sdk.Unavailable, "InternalServiceError", 3},
		"a gateway without a backend":  {503, `<html>`, sdk.Unavailable, "503", 3},
		"too many requests, in HTML":   {429, `<html>`, sdk.ResourceExhausted, "429", 3},
		"XML of a refusal":             {403, `<ErrorResponse><Errors><Error><Code>AccessDenied</Code></Error></Errors></ErrorResponse>`, sdk.PermissionDenied, "", 1},
		"XML of an unknown key":        {403, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>`, sdk.Unauthenticated, "InvalidClientTokenId", 1},
		"a wrong address":              {404, `not found`, sdk.FailedPrecondition, "404", 1},
		"a redirect":                   {302, ``, sdk.FailedPrecondition, "302", 1},
		"an unknown word":              {400, `{"__type":"NovelException"}`, sdk.InvalidArgument, "NovelException", 1},
		"a success that is not JSON":   {200, `<html>`, sdk.Internal, "200", 1},
		"an operation that is unknown": {400, `{"__type":"UnknownOperationException"}`, sdk.Unimplemented, "UnknownOperationException", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := asked(t, t.Context(), answer(c.status, c.body), sdk.Env{})
			wantCode(t, "get", err, c.want)
			e := asError(t, err)
			if c.reason != "" && e.Reason != c.reason || e.RequestID != "r-1" || n != c.requests {
				t.Errorf("%#v after %d requests; want reason %q, the request's id and %d requests", err, n, c.reason, c.requests)
			}
		})
	}
}

func TestBrokenConnectionsAreUnavailable(t *testing.T) {
	for name, f := range map[string]fault.Fault{"cut": {Cut: true}, "malformed": {Malformed: true}} {
		var faults fault.Injector
		faults.Always(f)
		body := answer(200, `{"Name":"a","VersionId":"v","SecretString":"s"}`)
		n, err := asked(t, t.Context(), faults.Handler(body).ServeHTTP, sdk.Env{})
		want := map[string]sdk.Code{"cut": sdk.Unavailable, "malformed": sdk.Internal}[name]
		wantCode(t, name, err, want)
		if n > 3 {
			t.Errorf("%s: %d requests, want three at most", name, n)
		}
	}
}

func TestAWaitBeyondTheDeadlineIsNotBegun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := asked(t, ctx, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Retry-After", "3600")
		answer(429, `{"__type":"ThrottlingException"}`)(w, q)
	}, sdk.Env{})
	wantCode(t, "throttled for an hour", err, sdk.ResourceExhausted)
	if e := asError(t, err); e.RetryAfter != time.Hour || n != 1 || ctx.Err() != nil {
		t.Errorf("%#v after %d requests, want to be told of an hour after one", err, n)
	}
}

func TestTheHostsRefusalToDialIsItsOwnAndAskedOnce(t *testing.T) {
	var n atomic.Int64
	transport := roundTrip(func(*http.Request) (*http.Response, error) {
		n.Add(1)
		e := sdk.Errorf(sdk.PermissionDenied, "dial x: not an endpoint that the settings declare")
		e.Reason = "reach"
		return nil, e
	})
	_, err := asked(t, t.Context(), answer(200, `{}`), sdk.Env{HTTPClient: &http.Client{Transport: transport}})
	wantCode(t, "a refused dial", err, sdk.PermissionDenied)
	if e := asError(t, err); e.Reason != "reach" || n.Load() != 1 {
		t.Errorf("%#v after %d tries, want the host's reason after one", err, n.Load())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestACallerWhoLeavesIsToldSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := asked(t, ctx, func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		cancel()
		<-q.Context().Done() // no answer comes before the caller is gone
	}, sdk.Env{})
	wantCode(t, "a caller who left", err, sdk.Canceled)
	ctx, cancel = context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	_, err = asked(t, ctx, answer(200, `{}`), sdk.Env{})
	wantCode(t, "a caller without time", err, sdk.DeadlineExceeded)
}

func TestAServerThatIsNotTrustedIsUnavailable(t *testing.T) {
	srv := httptest.NewTLSServer(answer(200, `{}`))
	defer srv.Close()
	x := openedWith(t, Settings{Region: "eu-west-1", STSEndpoint: srv.URL, Auth: Auth{Static: key()}})
	_, err := x.Identity(t.Context())
	wantCode(t, "an unknown authority", err, sdk.Unavailable)
}
