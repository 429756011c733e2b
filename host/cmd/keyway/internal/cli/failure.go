package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/launch"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// Exit codes.
const (
	exitBug         = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitUnavailable = 5
	exitConflict    = 6
	exitSome        = 7
)

// failure is an error of a command, as opposed to one of its usage.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// setupError is a failure before the command's own work: whatever its code, what is wrong is in the configuration or the
// installation, unless waiting may mend it.
type setupError struct{ error }

func (s *setupError) Unwrap() error { return s.error }

// exitStatus ends with a code and no message: the program of run has said what it had to.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// someError tells that some of many things failed; each was reported.
type someError struct{ failed, of int }

func (s *someError) Error() string { return fmt.Sprintf("%d of %d failed", s.failed, s.of) }

// finish reports the error and gives the exit code.
func (a *app) finish(running bool, err error) int {
	var status exitStatus
	var start *launch.StartError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	a.report(err)
	switch {
	case errors.As(err, &start):
		return start.ExitCode
	case running:
		return launch.ExitFailed
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var f *failure
	var some *someError
	var setup *setupError
	code := codeOf(err)
	switch {
	case errors.As(err, &some):
		return exitSome
	case !errors.As(err, &f):
		return exitUsage
	case errors.As(err, &setup) && (code == sdk.NotFound || code == sdk.FailedPrecondition):
		return exitUsage
	}
	switch code {
	case sdk.InvalidArgument, sdk.Unimplemented:
		return exitUsage
	case sdk.NotFound:
		return exitNotFound
	case sdk.PermissionDenied, sdk.Unauthenticated:
		return exitDenied
	case sdk.Unavailable, sdk.DeadlineExceeded, sdk.ResourceExhausted, sdk.Canceled:
		return exitUnavailable
	case sdk.AlreadyExists, sdk.Aborted, sdk.FailedPrecondition:
		return exitConflict
	}
	return exitBug
}

// codeOf is the error's code; one that is not of a command is of its usage.
func codeOf(err error) sdk.Code {
	var f *failure
	if !errors.As(err, &f) {
		return sdk.InvalidArgument
	}
	return sdk.CodeOf(err)
}

// hints say what to do about a code, where the message alone does not.
var hints = map[sdk.Code]string{
	sdk.NotFound:          "keyway list STORE shows the names that there are",
	sdk.Unauthenticated:   "the backend does not accept the store's login: see its settings, and keyway stores check",
	sdk.PermissionDenied:  "the backend knows us and refuses: grant the permission, or see keyway stores check for whom it takes us",
	sdk.Unavailable:       "keyway stores check tells which backends answer",
	sdk.DeadlineExceeded:  "keyway stores check tells which backends answer; --timeout gives more time",
	sdk.ResourceExhausted: "the backend throttles us: try later, or set the store's limits",
	sdk.AlreadyExists:     "leave --if-absent away to write a new version",
	sdk.Aborted:           "somebody else wrote in between: read it again",
	sdk.Internal:          "this is a bug: please report it",
	sdk.Unknown:           "this is a bug: please report it",
}

// report writes an error: one line for each thing that is wrong, or one JSON object.
func (a *app) report(err error) {
	if a.json() {
		a.reportJSON(err)
		return
	}
	lines := split(err)
	for _, e := range lines {
		if p, ok := e.(problemError); ok { //nolint:errorlint // it is never wrapped
			fmt.Fprintln(a.err, p) // editors read "file:line:column"
			continue
		}
		code := codeOf(err)
		if len(lines) > 1 {
			code = sdk.CodeOf(e)
		}
		if code == sdk.InvalidArgument || isSome(err) || isStart(err) {
			a.say("%v", e) // the message alone says what is wrong, and where
			continue
		}
		a.say("%v: %v", code, e)
	}
	if hint := hintOf(err); hint != "" {
		a.say("hint: %s", hint)
	}
}

// hintOf is the error's own hint, else that of its code. What has no one code has no hint.
func hintOf(err error) string {
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	if isSome(err) || isStart(err) {
		return ""
	}
	return hints[codeOf(err)]
}

// wordOf is the error's code as programs read it; what has no one code has a word of its own.
func wordOf(err error) string {
	switch {
	case isSome(err):
		return "some_failed"
	case isStart(err):
		return "not_started"
	}
	return word(codeOf(err))
}

func isSome(err error) bool  { var s *someError; return errors.As(err, &s) }
func isStart(err error) bool { var s *launch.StartError; return errors.As(err, &s) }

// split gives the errors that an error joins, and the problems of a configuration, one by one.
func split(err error) []error {
	switch e := err.(type) { //nolint:errorlint // the walk is the point: joined errors need every branch
	case *failure:
		return split(e.error)
	case *setupError:
		return split(e.error)
	case *hinted:
		return split(e.error)
	case *config.Error:
		out := make([]error, len(e.Problems))
		for i, p := range e.Problems {
			out[i] = problemError{p}
		}
		return out
	case *sdk.Error:
		return []error{err}
	case interface{ Unwrap() []error }:
		var out []error
		for _, x := range e.Unwrap() {
			out = append(out, split(x)...)
		}
		return out
	}
	return []error{err}
}

// problemError is one problem of a configuration.
type problemError struct{ config.Problem }

// Error is the problem as one line.
func (p problemError) Error() string { return p.String() }
func (p problemError) Unwrap() error { return sdk.InvalidArgument }

type errorJSON struct {
	Code       string      `json:"code"`
	Message    string      `json:"message"`
	Reason     string      `json:"reason,omitempty"`
	RequestID  string      `json:"request_id,omitempty"`
	RetryAfter string      `json:"retry_after,omitempty"`
	File       string      `json:"file,omitempty"`
	Line       int         `json:"line,omitempty"`
	Column     int         `json:"column,omitempty"`
	Path       string      `json:"path,omitempty"`
	Hint       string      `json:"hint,omitempty"`
	Errors     []errorJSON `json:"errors,omitempty"`
}

func (a *app) reportJSON(err error) {
	parts := split(err)
	top := one(err)
	top.Code, top.Hint = wordOf(err), hintOf(err)
	if len(parts) == 1 {
		top = one(parts[0])
		top.Code, top.Hint = wordOf(err), hintOf(err)
	} else {
		for _, p := range parts {
			top.Errors = append(top.Errors, one(p))
		}
	}
	_ = writeJSON(a.err, map[string]any{"error": top})
}

func one(err error) errorJSON {
	out := errorJSON{Code: word(sdk.CodeOf(err)), Message: err.Error()}
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		out.Reason, out.RequestID = e.Reason, e.RequestID
		if e.RetryAfter > 0 {
			out.RetryAfter = e.RetryAfter.Round(time.Millisecond).String()
		}
	}
	if p, ok := err.(problemError); ok { //nolint:errorlint // it is never wrapped
		out.Message, out.File, out.Line, out.Column, out.Path = p.Message, p.File, p.Line, p.Column, p.Path
	}
	return out
}

// word is a code as programs read it, "not_found".
func word(c sdk.Code) string { return strings.ReplaceAll(c.String(), " ", "_") }
