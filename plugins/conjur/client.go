package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	attempts  = 3                      // of one request
	firstWait = 100 * time.Millisecond // between them, doubled and jittered
	maxAnswer = 32 << 20               // bytes; the longest are listings
)

// newRequests makes the official client, of which only the functions that build requests are used: those that send know no
// context, and share a token without a lock. Everything is set, since what is missing is read from the environment, from
// files and by asking the server.
func newRequests(base, account string) (*conjurapi.Client, error) {
	config := conjurapi.Config{
		ApplianceURL: base, Account: account, Environment: conjurapi.EnvironmentSH,
		CredentialStorage: conjurapi.CredentialStorageNone,
	}
	config.SetKeychainNamespaceResolved(true)
	c, err := conjurapi.NewClient(config, conjurapi.Telemetry{
		IntegrationName: "Keyway", IntegrationType: conjurapi.IntegrationType, IntegrationVersion: version, VendorName: "Keyway",
	})
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "open: the Conjur client cannot be made: %w", err)
	}
	return c, nil
}

// call is one request. op and object name it in errors. It is built anew for each attempt, all of which may happen: what a
// request sets or declares, it sets or declares once.
type call struct {
	op, object string
	needs      string // the privilege: "execute on variable app/db"
	build      func() (*http.Request, error)
	quiet      bool // the request holds a value or a credential, which the server's words might quote
}

// do makes one request with the store's token, and once more with a new one if that token is refused.
func (st *store) do(ctx context.Context, c call) ([]byte, error) {
	l, err := st.session.Lease(ctx)
	if err != nil {
		return nil, classify(c, err, nil)
	}
	body, err := send(ctx, st.http, c, l.Token)
	if sdk.CodeOf(err) != sdk.Unauthenticated {
		return body, err
	}
	n, refusal := st.session.Refused(ctx, l)
	if refusal != nil {
		return nil, classify(c, refusal, nil)
	}
	if n == l {
		return nil, err
	}
	return send(ctx, st.http, c, n.Token)
}

// doJSON is do for an answer in JSON.
func (st *store) doJSON(ctx context.Context, c call, out any) error {
	body, err := st.do(ctx, c)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, out) != nil {
		return sdk.Errorf(sdk.Internal, "%s %q: the answer is not Conjur's: %d bytes", c.op, c.object, len(body))
	}
	return nil
}

// send makes one request in at most three attempts within the caller's deadline. The token may be empty.
func send(ctx context.Context, client *http.Client, c call, token sdk.Sensitive) ([]byte, error) {
	for n := 0; ; n++ {
		body, again, err := attempt(ctx, client, c, token)
		var e *sdk.Error
		if err == nil || !again || n == attempts-1 || !errors.As(err, &e) {
			return body, err
		}
		wait := e.RetryAfter
		if wait == 0 {
			wait = firstWait << n
			wait = wait/2 + rand.N(wait)
		}
		if end, ok := ctx.Deadline(); ok && time.Now().Add(wait).After(end) {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, classify(c, ctx.Err(), nil)
		}
	}
}

// attempt sends once and reads all. again tells whether another attempt may end better.
func attempt(ctx context.Context, client *http.Client, c call, token sdk.Sensitive) (body []byte, again bool, err error) {
	r, err := c.build()
	if err != nil {
		return nil, false, sdk.Errorf(sdk.InvalidArgument, "%s %q: the request cannot be made", c.op, c.object)
	}
	if !token.IsZero() {
		r.Header.Set("Authorization", `Token token="`+string(token.Reveal())+`"`)
	}
	resp, err := client.Do(r.WithContext(ctx))
	if err != nil {
		var refused *sdk.Error
		var untrusted *tls.CertificateVerificationError
		final := errors.As(err, &refused) && refused.Code != sdk.Unavailable || errors.As(err, &untrusted)
		return nil, !final && ctx.Err() == nil, classify(c, err, nil)
	}
	defer resp.Body.Close()
	resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest {
		return nil, false, sdk.Errorf(sdk.FailedPrecondition, "%s %q: the server answered %d, which Conjur does not; is address right?", c.op, c.object, resp.StatusCode)
	}
	body, err = response.DataResponse(resp)
	if err != nil {
		s := resp.StatusCode
		again = s < http.StatusBadRequest || s == http.StatusConflict || s == http.StatusTooManyRequests || s >= http.StatusInternalServerError
		return nil, again && ctx.Err() == nil, classify(c, err, resp.Header)
	}
	return body, false, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// spaced mends the path of requests whose builder escapes an id as if it stood in a query, where a space is a plus.
func spaced(r *http.Request, err error) (*http.Request, error) {
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.ReplaceAll(r.URL.EscapedPath(), "+", "%20"))
	if err != nil {
		return nil, err
	}
	r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
	return r, nil
}
