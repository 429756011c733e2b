package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const (
	maxRetries = 2                      // so three attempts
	firstWait  = 100 * time.Millisecond // between them, doubled and jittered
	maxAnswer  = 32 << 20               // bytes; the longest are listings of large folders
	maxText    = 1 << 20                // bytes; Vault answers 500 to a longer string, once it has read it
)

// newClient makes the official client for an address: it reads VAULT_* as it is made, and none of it may count. main
// takes them out of the environment; here goes what a process that did not do so would still have put into the client.
func newClient(address string, transport http.RoundTripper, forward bool) (*api.Client, error) {
	c, err := api.NewClient(&api.Config{
		Address: address,
		HttpClient: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the client follows one by itself, to an endpoint that the dialer allows
		}},
		MaxRetries: maxRetries,
		CheckRetry: worthRetrying,
		Backoff:    wait,
	})
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "open: the Vault client cannot be made")
	}
	c.ClearToken()
	c.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	// Each request names the last state that an answer named, so that a standby which lags behind it says so (412).
	// https://developer.hashicorp.com/vault/docs/enterprise/consistency
	c.SetReadYourWrites(true)
	if forward {
		c.AddHeader(api.HeaderInconsistent, "forward-active-node")
	}
	c.SetWrappingLookupFunc(func(string, string) string { return "" })
	return c, nil
}

// worthRetrying decides after each attempt. A write is repeated only where the first one cannot have happened: else a
// check-and-set would lose against itself.
func worthRetrying(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		var refused *sdk.Error
		var untrusted *tls.CertificateVerificationError
		var u *url.Error
		var op *net.OpError
		final := errors.As(err, &refused) && refused.Code != sdk.Unavailable
		switch {
		case final || errors.As(err, &untrusted):
			return false, nil
		case errors.As(err, &op) && op.Op == "dial":
			return true, nil
		}
		return errors.As(err, &u) && u.Op == "Get", nil
	}
	if end, ok := ctx.Deadline(); ok && time.Now().Add(retryafter.Of(resp.Header, time.Now())).After(end) {
		return false, nil
	}
	switch s := resp.StatusCode; s {
	case http.StatusTooManyRequests, http.StatusPreconditionFailed, http.StatusServiceUnavailable:
		return true, nil
	default:
		return s >= http.StatusInternalServerError && resp.Request.Method == http.MethodGet, nil
	}
}

func wait(_, _ time.Duration, attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		if d := retryafter.Of(resp.Header, time.Now()); d > 0 {
			return d
		}
	}
	d := firstWait << attempt
	return d/2 + rand.N(d)
}

// call is one request. op and object name it in errors.
type call struct {
	op, object   string
	method, path string
	query        url.Values
	body         any
	login        bool     // in the namespace of the login, not of the secrets
	once         bool     // a refusal is not worth another token
	hides        []string // what the body holds that no message may; nil: all of it
}

// answer is what Vault says in a 200, or in a 404 about something that is there no more.
type answer struct {
	Data     json.RawMessage `json:"data"`
	Warnings []string        `json:"warnings"`
	Auth     *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int64  `json:"lease_duration"` // seconds
		Renewable     bool   `json:"renewable"`
	} `json:"auth"`
	LeaseDuration int64  `json:"lease_duration"` // seconds
	Version       string `json:"version"`        // of the server; only health tells it
	Enterprise    *bool  `json:"enterprise"`     // likewise
}

// send makes one request with the client's token and namespace.
func send(ctx context.Context, c *api.Client, r call) (answer, error) {
	body, err := json.Marshal(r.body)
	if err != nil {
		return answer{}, sdk.Errorf(sdk.Internal, "%s %q: %w", r.op, r.object, err)
	}
	resp, err := attempt(ctx, c, r, body)
	if resp == nil {
		return answer{}, classify(r, err, nil)
	}
	defer resp.Body.Close()
	if err != nil && resp.StatusCode == http.StatusInternalServerError && len(body) > maxText {
		return answer{}, sdk.Errorf(sdk.InvalidArgument, "%s %q: Vault answered 500 to a value that is longer than it takes", r.op, r.object)
	}
	if err != nil && resp.StatusCode != http.StatusNotFound {
		return answer{}, classify(r, err, resp.Header)
	}
	raw, readErr := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if readErr != nil {
		return answer{}, classify(r, readErr, nil)
	}
	var a answer
	decodeErr := json.Unmarshal(raw, &a)
	switch {
	case err != nil && decodeErr == nil && isSet(a.Data):
		return a, nil
	case err != nil && len(a.Warnings) > 0:
		return answer{}, sdk.Errorf(sdk.FailedPrecondition, "%s %q: Vault answered 404 with a warning; is kv_version right?", r.op, r.object)
	case err != nil:
		return answer{}, classify(r, err, resp.Header)
	case len(raw) == 0 && resp.StatusCode == http.StatusNoContent:
		return answer{}, nil
	case len(raw) > maxAnswer || decodeErr != nil:
		return answer{}, sdk.Errorf(sdk.Internal, "%s %q: the answer is not Vault's: status %d, %d bytes", r.op, r.object, resp.StatusCode, len(raw))
	}
	return a, nil
}

func isSet(data json.RawMessage) bool { return len(data) > 0 && string(data) != "null" }

// attempt picks the client's method. All of them answer the raw response, since the others drop what a 404 says.
func attempt(ctx context.Context, c *api.Client, r call, body []byte) (*api.Response, error) {
	switch r.method {
	case http.MethodGet:
		return c.Logical().ReadRawWithDataWithContext(ctx, r.path, r.query)
	case http.MethodDelete:
		return c.Logical().DeleteRawWithContext(ctx, r.path)
	case http.MethodPatch:
		c = c.WithRequestCallbacks(func(q *api.Request) { q.Headers.Set("Content-Type", "application/merge-patch+json") })
		return c.Logical().PatchRawWithContext(ctx, r.path, body)
	}
	return c.Logical().WriteRawWithContext(ctx, r.path, body)
}
