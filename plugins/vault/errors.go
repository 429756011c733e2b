package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const maxReason = 300 // bytes of a server's own words in our message

// classify turns what a call met into an [sdk.Error]; nil stays nil. header is the answer's, nil where there was none.
func classify(r call, err error, header http.Header) error {
	if err == nil {
		return nil
	}
	var known *sdk.Error
	if errors.As(err, &known) { // the dialer's refusal, a certificate that cannot be read
		e := sdk.Errorf(known.Code, "%s %q: %s", r.op, r.object, known.Message)
		e.Reason, e.RetryAfter = known.Reason, known.RetryAfter
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Canceled, "%s %q: %w", r.op, r.object, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.DeadlineExceeded, "%s %q: no answer in time: %w", r.op, r.object, context.DeadlineExceeded)
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) { // no connection, a broken one, an untrusted certificate
		return sdk.Errorf(sdk.Unavailable, "%s %q: %w", r.op, r.object, err)
	}
	e := sdk.Errorf(codeOf(answer), "%s %q: Vault answered %d%s", r.op, r.object, answer.StatusCode, words(r, answer))
	e.Reason = strconv.Itoa(answer.StatusCode)
	e.RetryAfter = retryafter.Of(header, time.Now())
	return e
}

// codeOf reads a status. A 404 that says why is about the route, a mount or a namespace that is missing, and not about the
// secret, for which Vault says nothing: a wrong setting must not look like a secret that does not exist.
func codeOf(e *api.ResponseError) sdk.Code {
	switch s := e.StatusCode; {
	case s == http.StatusNotFound && len(e.Errors) > 0:
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
	case s == http.StatusPreconditionFailed, s >= http.StatusInternalServerError: // a lagging standby; down, sealed
		return sdk.Unavailable
	case s >= http.StatusBadRequest:
		return sdk.InvalidArgument
	}
	return sdk.Internal
}

// words gives what the server says, unless it might quote a value: requests with a body hold values, and an answer that is
// not JSON comes from something else than Vault. Of a login it is known what must not be told.
func words(r call, e *api.ResponseError) string {
	if e.RawError || len(e.Errors) == 0 || r.hides == nil && e.HTTPMethod != http.MethodGet && e.HTTPMethod != http.MethodDelete {
		return ""
	}
	s := strings.Join(strings.Fields(strings.Join(e.Errors, "; ")), " ")
	if slices.ContainsFunc(r.hides, func(secret string) bool { return strings.Contains(s, secret) }) {
		return ""
	}
	return ": " + s[:min(len(s), maxReason)]
}

// isForbidden reports whether err is Vault's own 403, and not a refusal on the way.
func isForbidden(err error) bool {
	var e *sdk.Error
	return errors.As(err, &e) && e.Reason == strconv.Itoa(http.StatusForbidden)
}
