package example

import (
	"errors"

	"github.com/keyway-dev/keyway/sdk"
)

// What the backend answers when it refuses. A real provider finds the like in its client library.
var (
	errNoSecret   = errors.New("no such secret")
	errNoVersion  = errors.New("no such version")
	errNoKey      = errors.New("no such key")
	errDeleted    = errors.New("deleted; it can be restored")
	errExists     = errors.New("exists already")
	errConflict   = errors.New("another version is current")
	errCiphertext = errors.New("not a ciphertext of this key and these additional data")
	errToken      = errors.New("the token is not accepted")
	errDenied     = errors.New("not allowed")
)

// classify gives a backend's refusal the code that tells the host what to do about it. It is the only place that does, so
// that one read shows what every failure becomes. The result is an error and not a *sdk.Error, because a nil *sdk.Error
// in an error is not nil.
func classify(op, object string, err error) error {
	var done *sdk.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done): // has its code already
		return err
	}
	return sdk.Errorf(codeOf(err), "%s %q: %w", op, object, err)
}

func codeOf(err error) sdk.Code {
	switch {
	case errors.Is(err, errNoSecret), errors.Is(err, errNoVersion), errors.Is(err, errNoKey):
		return sdk.NotFound
	case errors.Is(err, errDeleted):
		return sdk.FailedPrecondition
	case errors.Is(err, errExists):
		return sdk.AlreadyExists
	case errors.Is(err, errConflict):
		return sdk.Aborted
	case errors.Is(err, errCiphertext):
		return sdk.InvalidArgument
	case errors.Is(err, errToken):
		return sdk.Unauthenticated
	case errors.Is(err, errDenied):
		return sdk.PermissionDenied
	}
	if c := sdk.CodeOf(err); c != sdk.Unknown { // a context that ended: Canceled or DeadlineExceeded
		return c
	}
	return sdk.Internal // nothing above knows it: a bug, and never Unknown
}
