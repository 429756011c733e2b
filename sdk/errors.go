package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Code says what kind of failure an error is, and so what its receiver does about it. The numbers are gRPC's. A Code is
// itself an error, so that errors.Is(err, sdk.NotFound) works.
type Code uint32

// The codes. What the host does on each is in the design's table of codes: who retries, what is cached, what is served
// stale.
const (
	OK                 Code = 0
	Canceled           Code = 1  // our caller left
	Unknown            Code = 2  // a provider that did not classify; fails the conformance suite
	InvalidArgument    Code = 3  // name, version, ciphertext or settings malformed
	DeadlineExceeded   Code = 4  // no answer in time
	NotFound           Code = 5  // the name or version does not exist
	AlreadyExists      Code = 6  // IfAbsent on a name that exists
	PermissionDenied   Code = 7  // the backend knows us and refuses
	ResourceExhausted  Code = 8  // throttled; RetryAfter if told
	FailedPrecondition Code = 9  // exists, but disabled or pending deletion
	Aborted            Code = 10 // IfVersion lost
	Unimplemented      Code = 12 // the capability is absent
	Internal           Code = 13 // a bug
	Unavailable        Code = 14 // network, 5xx, sealed, plugin not running
	DataLoss           Code = 15 // checksum or tag mismatch
	Unauthenticated    Code = 16 // the backend does not accept our login
)

var codeNames = [...]string{0: "ok", 1: "canceled", 2: "unknown", 3: "invalid argument", 4: "deadline exceeded", 5: "not found",
	6: "already exists", 7: "permission denied", 8: "resource exhausted", 9: "failed precondition", 10: "aborted",
	12: "unimplemented", 13: "internal", 14: "unavailable", 15: "data loss", 16: "unauthenticated"}

// Error is the code's name, as String.
func (c Code) Error() string { return c.String() }

// String gives the code's name in lower case, "not found".
func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Error is a failure with its code. Message is one line, "op object: reason", and never holds a value.
type Error struct {
	Code       Code
	Message    string
	Reason     string        // the backend's own word: "ThrottlingException", "403"
	RequestID  string        // the backend's
	RetryAfter time.Duration // ResourceExhausted and Unavailable: when to come again; zero if not told
	Problems   []Problem     // of settings: every fault at once
	cause      error
}

// Problem is one fault of the settings. Path is a JSON Pointer into them.
type Problem struct{ Path, Message string }

// Error gives the message followed by the problems.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Message == "" {
		b.WriteString(e.Code.String())
	}
	for i, p := range e.Problems {
		b.WriteString([]string{": ", "; "}[min(i, 1)])
		if p.Path != "" {
			b.WriteString(p.Path + ": ")
		}
		b.WriteString(p.Message)
	}
	return b.String()
}

// Unwrap gives the code and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}

// Errorf makes an error with a code; %w keeps a cause.
func Errorf(c Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Code: c, Message: err.Error()}
	if _, ok := err.(interface{ Unwrap() error }); ok {
		e.cause = err
	}
	if _, ok := err.(interface{ Unwrap() []error }); ok {
		e.cause = err
	}
	return e
}

// severity orders codes for joined errors: what a retry cannot mend comes before what it can.
var severity = []Code{Internal, Unknown, DataLoss, Unimplemented, InvalidArgument, Unauthenticated, PermissionDenied, NotFound,
	FailedPrecondition, AlreadyExists, Aborted, ResourceExhausted, Unavailable, DeadlineExceeded, Canceled}

// CodeOf gives the code of an error: OK for nil, that of the first [*Error] or [Code] in its chain, Canceled or
// DeadlineExceeded for the context's errors, else Unknown. Of joined errors it gives the gravest, so that a code which a
// retry may mend means that a retry may mend them all.
func CodeOf(err error) Code {
	switch e := err.(type) { //nolint:errorlint // the walk is the point: joined errors need every branch
	case nil:
		return OK
	case *Error:
		if e == nil {
			return OK
		}
		return e.Code
	case Code:
		return e
	case interface{ Unwrap() []error }:
		worst := -1
		for _, x := range e.Unwrap() {
			if i := slices.Index(severity, CodeOf(x)); i >= 0 && (worst < 0 || i < worst) {
				worst = i
			}
		}
		if worst >= 0 {
			return severity[worst]
		}
		return Unknown
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return CodeOf(inner)
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Unknown
}
