package gcpauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

// witness sees what the requests of a login were answered: Google's packages tell it as text, with the whole answer in it.
type witness struct {
	next *http.Client
	mu   sync.Mutex
	last struct {
		host       string
		status     int // zero: no answer came
		word       string
		retryAfter time.Duration
		err        error
	}
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.Transport.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last.host, w.last.err, w.last.status, w.last.word, w.last.retryAfter = r.URL.Host, err, 0, "", 0
	if err != nil {
		return nil, err
	}
	w.last.status = resp.StatusCode
	if resp.StatusCode != http.StatusOK {
		body, _ := readAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		w.last.word, w.last.retryAfter = word(body), retryafter.Of(resp.Header, time.Now())
	}
	return resp, nil
}

// word takes the code out of an answer, of OAuth's form or of Google's. What else it says may quote what was sent.
func word(body []byte) string {
	var oauth struct{ Error string }
	if json.Unmarshal(body, &oauth) == nil && len(oauth.Error) <= 64 {
		return oauth.Error
	}
	var google struct{ Error struct{ Status string } }
	if json.Unmarshal(body, &google) == nil && len(google.Error.Status) <= 64 {
		return google.Error.Status
	}
	return ""
}

// classify turns what a login met into an [sdk.Error].
func (w *witness) classify(ctx context.Context, title string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	var known *sdk.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &known): // a dialer's refusal, a file that is none
		e := sdk.Errorf(known.Code, "%s: %s", title, known.Message)
		e.Reason = known.Reason
		return e
	case errors.As(err, &file):
		return sdk.Errorf(sdk.Unauthenticated, "%s: %w", title, file)
	case last.err != nil:
		return sdk.Errorf(sdk.Unavailable, "%s: %s: %w", title, last.host, last.err)
	case last.status == 0:
		return sdk.Errorf(sdk.Unauthenticated, "%s: the credential cannot be used: a part of it is missing or malformed", title)
	case last.status == http.StatusOK:
		return sdk.Errorf(sdk.Internal, "%s: %s did not answer with a token", title, last.host)
	}
	e := sdk.Errorf(codeOfStatus(last.status), "%s: %s answered %d %s", title, last.host, last.status, last.word)
	if last.word == "" {
		e = sdk.Errorf(codeOfStatus(last.status), "%s: %s answered %d", title, last.host, last.status)
		last.word = strconv.Itoa(last.status)
	}
	e.Reason, e.RetryAfter = last.word, last.retryAfter
	return e
}

// codeOfStatus reads the answer of an endpoint that gives tokens: a 400 is a credential that is not accepted (RFC 6749,
// section 5.2), a 404 an identity that does not exist.
func codeOfStatus(status int) sdk.Code {
	switch {
	case status == http.StatusForbidden:
		return sdk.PermissionDenied
	case status == http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	case status >= http.StatusInternalServerError:
		return sdk.Unavailable
	}
	return sdk.Unauthenticated
}

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxAnswer)) }
