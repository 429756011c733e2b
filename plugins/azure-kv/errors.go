package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const maxWords = 300 // bytes of a server's own words in our message

// classify turns what a call met into an [sdk.Error]; nil stays nil. need is the permission that the call takes.
func classify(op, object, need string, err error) error {
	if err == nil {
		return nil
	}
	var known *sdk.Error
	if errors.As(err, &known) { // a login, the dialer's refusal
		e := sdk.Errorf(known.Code, "%s %q: %s", op, object, known.Message)
		e.Reason, e.RequestID, e.RetryAfter = known.Reason, known.RequestID, known.RetryAfter
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Canceled, "%s %q: %w", op, object, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.DeadlineExceeded, "%s %q: no answer in time: %w", op, object, context.DeadlineExceeded)
	}
	var answer *azcore.ResponseError
	var final interface{ NonRetriable() }
	switch {
	case errors.As(err, &answer):
		return refusal(op, object, need, answer)
	case errors.Is(err, errMalformed):
		return sdk.Errorf(sdk.Internal, "%s %q: %w", op, object, err)
	case errors.As(err, &final): // the challenge of a server that is another than the vault
		return sdk.Errorf(sdk.FailedPrecondition, "%s %q: no challenge of this vault: %s", op, object, words(err.Error()))
	}
	return sdk.Errorf(sdk.Unavailable, "%s %q: %w", op, object, err)
}

// refusal reads an answer of the vault that is an error.
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
func refusal(op, object, need string, answer *azcore.ResponseError) error {
	d := detailsOf(answer.RawResponse)
	e := sdk.Errorf(codeOf(answer.StatusCode, d), "%s %q: Key Vault answered %d %s%s", op, object, answer.StatusCode, d.code(), hint(answer.StatusCode, d, need))
	if m := words(d.Message); m != "" && answer.RawResponse.Request.Method != http.MethodPut { // which could quote the value
		e.Message += ": " + m
	}
	e.Reason = d.code()
	e.RequestID = answer.RawResponse.Header.Get("x-ms-request-id")
	e.RetryAfter = retryAfter(answer.RawResponse.Header, time.Now())
	return e
}

// details is the body of a refusal.
type details struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Inner   *struct {
		Code string `json:"code"`
	} `json:"innererror"`
}

// code is the more exact of the two that a refusal may have.
func (d details) code() string {
	if d.Inner != nil && d.Inner.Code != "" {
		return words(d.Inner.Code)
	}
	return words(d.Code)
}

// detailsOf reads the body, which the client has kept. Whatever is not Key Vault's has no details.
func detailsOf(resp *http.Response) details {
	var body struct {
		Error details `json:"error"`
	}
	raw, err := runtime.Payload(resp)
	if err != nil || json.Unmarshal(raw, &body) != nil {
		return details{}
	}
	return body.Error
}

// codeOf reads a status. A 404 that does not say what is missing comes from something else than a vault: a wrong address
// must not look like a secret that does not exist.
func codeOf(status int, d details) sdk.Code {
	switch {
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return sdk.InvalidArgument
	case status == http.StatusUnauthorized:
		return sdk.Unauthenticated
	case status == http.StatusForbidden && d.code() == "SecretDisabled":
		return sdk.FailedPrecondition
	case status == http.StatusForbidden:
		return sdk.PermissionDenied
	case status == http.StatusNotFound && strings.HasSuffix(d.code(), "NotFound"):
		return sdk.NotFound
	case status == http.StatusNotFound, status == http.StatusConflict:
		return sdk.FailedPrecondition
	case status == http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return sdk.Unavailable
	}
	return sdk.Internal
}

// hint says what an operator can do.
func hint(status int, d details, need string) string {
	switch code := d.code(); {
	case status == http.StatusForbidden && code == "SecretDisabled":
		return " (the version is disabled)"
	case status == http.StatusForbidden && (code == "ForbiddenByFirewall" || code == "ForbiddenByConnection"):
		return " (the vault's network rules do not let this machine in)"
	case status == http.StatusForbidden:
		return " (needs " + need + ")"
	case code == "ObjectIsDeletedButRecoverable":
		return " (it is deleted; restore or purge it first)"
	case status == http.StatusNotFound && code == "":
		return " (is this the address of a vault?)"
	}
	return ""
}

// words makes a server's text one short line.
func words(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ToValidUTF8(s[:min(len(s), maxWords)], "")
}

// retryAfter reads when to come back: Azure's headers in milliseconds, else seconds or a date. Zero: not told.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if n, err := strconv.Atoi(h.Get(name)); err == nil && n > 0 {
			return time.Duration(n) * time.Millisecond
		}
	}
	return retryafter.Of(h, now)
}

// transient reports whether another attempt may meet something else: what the client library asks after each. more are
// statuses beside the common ones.
func transient(more ...int) func(*http.Response, error) bool {
	return func(resp *http.Response, err error) bool {
		if err != nil {
			var refused *sdk.Error
			var untrusted *tls.CertificateVerificationError
			final := errors.As(err, &refused) && refused.Code != sdk.Unavailable
			return !final && !errors.As(err, &untrusted) && !errors.Is(err, errTooLong)
		}
		for _, s := range more {
			if resp.StatusCode == s {
				return true
			}
		}
		switch s := resp.StatusCode; s {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			end, limited := resp.Request.Context().Deadline()
			return !limited || time.Now().Add(retryAfter(resp.Header, time.Now())).Before(end)
		}
		return false
	}
}

// isStatus reports whether err is an answer of the vault with this status.
func isStatus(err error, status int) bool {
	var e *azcore.ResponseError
	return errors.As(err, &e) && e.StatusCode == status
}

// reasonOf gives the backend's own word for an error of ours.
func reasonOf(err error) string {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Reason
}

// isDisabled reports whether a version was refused because it is disabled.
func isDisabled(err error) bool { return reasonOf(err) == "SecretDisabled" }

// collision says that a name's place in the vault is another's.
func collision(code sdk.Code, op, name, other string) error {
	return sdk.Errorf(code, "%s %q: in the vault its place is that of %q", op, name, other)
}
