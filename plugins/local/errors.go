package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/keyway-dev/keyway/sdk"
)

// classify gives an error its code and says in which operation on which object it happened. A file that the system will not
// give us is PermissionDenied; whatever else goes wrong with files (a full disk, a missing folder, a read-only mount) may
// pass, and is Unavailable. Errors of the system name their path.
func classify(op, object string, err error) error {
	if object != "" {
		op += fmt.Sprintf(" %q", object)
	}
	var known *sdk.Error
	if errors.As(err, &known) {
		e := *known
		e.Message = op + ": " + known.Message
		return &e
	}
	code := sdk.Unavailable
	switch {
	case errors.Is(err, context.Canceled):
		code = sdk.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = sdk.DeadlineExceeded
	case errors.Is(err, fs.ErrPermission):
		code = sdk.PermissionDenied
	}
	e := sdk.Errorf(code, "%s: %w", op, err)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		e.Reason = errno.Error()
	}
	return e
}
