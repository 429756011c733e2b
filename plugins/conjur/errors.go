package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi/response"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const maxReason = 300 // bytes of a server's own words in our message

// classify turns what a call met into an [sdk.Error]. header is the answer's, nil where there was none.
func classify(c call, err error, header http.Header) error {
	var known *sdk.Error
	if errors.As(err, &known) { // the dialer's refusal, a login's, a certificate that cannot be read
		e := sdk.Errorf(known.Code, "%s %q: %s", c.op, c.object, known.Message)
		e.Reason, e.RequestID, e.RetryAfter = known.Reason, known.RequestID, known.RetryAfter
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Canceled, "%s %q: %w", c.op, c.object, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.DeadlineExceeded, "%s %q: no answer in time: %w", c.op, c.object, context.DeadlineExceeded)
	}
	var answer *response.ConjurError
	if !errors.As(err, &answer) { // no connection, a broken one, an untrusted certificate
		return sdk.Errorf(sdk.Unavailable, "%s %q: %w", c.op, c.object, err)
	}
	code := codeOf(answer)
	e := sdk.Errorf(code, "%s %q: Conjur answered %d%s%s", c.op, c.object, answer.Code, words(c, answer), advice(c, code))
	e.Reason = strconv.Itoa(answer.Code)
	if answer.Details != nil && answer.Details.Code != "" {
		e.Reason = answer.Details.Code
	}
	e.RequestID = header.Get("X-Request-Id")
	e.RetryAfter = retryafter.Of(header, time.Now())
	return e
}

// codeOf reads a status. A page in a 404 comes from something else than Conjur: a wrong address must not look like a secret
// that does not exist. A 409 is another policy load under way.
func codeOf(e *response.ConjurError) sdk.Code {
	switch s := e.Code; {
	case s == http.StatusNotFound && strings.HasPrefix(e.Message, "<"):
		return sdk.FailedPrecondition
	case s == http.StatusNotFound:
		return sdk.NotFound
	case s == http.StatusUnauthorized:
		return sdk.Unauthenticated
	case s == http.StatusForbidden:
		return sdk.PermissionDenied
	case s == http.StatusMethodNotAllowed:
		return sdk.Unimplemented
	case s == http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	case s == http.StatusConflict, s >= http.StatusInternalServerError:
		return sdk.Unavailable
	case s >= http.StatusBadRequest:
		return sdk.InvalidArgument
	}
	return sdk.Internal
}

// words gives what Conjur says, unless it might quote a value.
func words(c call, e *response.ConjurError) string {
	if c.quiet || e.Details == nil || e.Details.Message == "" {
		return ""
	}
	s := strings.Join(strings.Fields(e.Details.Message), " ")
	return ": " + s[:min(len(s), maxReason)]
}

// advice tells what a refusal may mean. Conjur says the same of a variable that is missing, has no value, or is hidden from
// the login.
func advice(c call, code sdk.Code) string {
	needs := cmp.Or(c.needs, "more privileges")
	switch code {
	case sdk.NotFound:
		return "; it does not exist, has no value, or the login has no privilege on it (needs read and " + needs + ")"
	case sdk.PermissionDenied:
		return "; the login needs " + needs
	case sdk.FailedPrecondition:
		return ", not in Conjur's way; is address right?"
	}
	return ""
}
