package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestCodeOfFindsTheCode(t *testing.T) {
	var none *sdk.Error
	notFound := sdk.Errorf(sdk.NotFound, "get a: no")
	down := sdk.Errorf(sdk.Unavailable, "down")
	cases := []struct {
		name string
		err  error
		want sdk.Code
	}{
		{"no error", nil, sdk.OK},
		{"a nil *Error", none, sdk.OK},
		{"an *Error", notFound, sdk.NotFound},
		{"a wrapped *Error", fmt.Errorf("x: %w", notFound), sdk.NotFound},
		{"a bare code", sdk.Aborted, sdk.Aborted},
		{"a wrapped code", fmt.Errorf("x: %w", sdk.Aborted), sdk.Aborted},
		{"an *Error around another", sdk.Errorf(sdk.Internal, "x: %w", notFound), sdk.Internal},
		{"the context's end", context.Canceled, sdk.Canceled},
		{"the context's deadline, wrapped", fmt.Errorf("x: %w", context.DeadlineExceeded), sdk.DeadlineExceeded},
		{"an *Error around the context's end", sdk.Errorf(sdk.Unavailable, "x: %w", context.Canceled), sdk.Unavailable},
		{"something else", io.EOF, sdk.Unknown},
		{"joined: what no retry mends comes first", errors.Join(down, notFound), sdk.NotFound},
		{"joined the other way round", errors.Join(notFound, down), sdk.NotFound},
		{"joined with one that nobody classified", errors.Join(down, io.EOF), sdk.Unknown},
		{"joined in a joined", errors.Join(down, errors.Join(context.Canceled, sdk.Errorf(sdk.PermissionDenied, "no"))), sdk.PermissionDenied},
		{"joined that a retry mends all", errors.Join(down, context.DeadlineExceeded), sdk.Unavailable},
		{"two causes in one format", fmt.Errorf("%w, %w", down, sdk.DataLoss), sdk.DataLoss},
	}
	for _, c := range cases {
		if got := sdk.CodeOf(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestErrorsKeepCodeAndCause(t *testing.T) {
	e := sdk.Errorf(sdk.NotFound, "get %q: %w", "a", io.EOF)
	two := sdk.Errorf(sdk.NotFound, "%w and %w", io.EOF, io.ErrUnexpectedEOF)
	for _, c := range []struct {
		err    error
		target error
		want   bool
	}{
		{e, sdk.NotFound, true}, {e, io.EOF, true}, {e, sdk.Internal, false}, {two, io.ErrUnexpectedEOF, true},
		{fmt.Errorf("x: %w", e), sdk.NotFound, true}, {sdk.Errorf(sdk.NotFound, "plain"), io.EOF, false},
	} {
		if got := errors.Is(c.err, c.target); got != c.want {
			t.Errorf("errors.Is(%v, %v) is %v", c.err, c.target, got)
		}
	}
}

func TestErrorsPrintOnOneLineWithTheirProblems(t *testing.T) {
	for want, e := range map[string]*sdk.Error{
		"get a: no":                             {Code: sdk.NotFound, Message: "get a: no"},
		"not found":                             {Code: sdk.NotFound},
		"code 11":                               {Code: 11},
		"settings: /a: is required; needs more": {Message: "settings", Problems: []sdk.Problem{{Path: "/a", Message: "is required"}, {Message: "needs more"}}},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
}
