package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/keyway-dev/keyway/sdk"
)

// classify gives the failure of a call its code: err when there was no answer, else the answer's status.
func classify(op, object string, status int, err error) error {
	var done *sdk.Error
	switch {
	case errors.As(err, &done): // the host refused to dial
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.CodeOf(err), "%s %q: %w", op, object, err)
	case err != nil:
		return sdk.Errorf(sdk.Unavailable, "%s %q: %w", op, object, err)
	}
	e := sdk.Errorf(codeOf(status), "%s %q: the bank answered %d", op, object, status)
	e.Reason = http.StatusText(status)
	return e
}

func codeOf(status int) sdk.Code {
	switch status {
	case http.StatusUnauthorized:
		return sdk.Unauthenticated
	case http.StatusForbidden:
		return sdk.PermissionDenied
	case http.StatusNotFound:
		return sdk.NotFound
	case http.StatusConflict:
		return sdk.AlreadyExists
	case http.StatusPreconditionFailed:
		return sdk.Aborted
	case http.StatusTooManyRequests:
		return sdk.ResourceExhausted
	}
	if status >= 500 {
		return sdk.Unavailable
	}
	return sdk.Internal
}
