package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

func TestErrorsCrossTheWireWhole(t *testing.T) {
	want := &sdk.Error{Code: sdk.ResourceExhausted, Message: "get a: slow down", Reason: "ThrottlingException", RequestID: "r-1",
		RetryAfter: 3 * time.Second, Problems: []sdk.Problem{{Path: "/a", Message: "is required"}, {Message: "too many"}}}
	got := wire.FromStatus(t.Context(), "get", wire.Status(want))
	if show(got) != show(want) {
		t.Errorf("after the wire:\n%s\nwant\n%s", show(got), show(want))
	}
	if wire.IsTransport(got) || wire.IsUnknownStore(got) {
		t.Errorf("a provider's error: transport %v, unknown store %v; want neither", wire.IsTransport(got), wire.IsUnknownStore(got))
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	var none *sdk.Error
	wrapped := fmt.Errorf("get %q: %w", "a", sdk.Errorf(sdk.NotFound, "no such secret"))
	cases := []struct {
		name    string
		err     error
		code    sdk.Code
		message string
	}{
		{"nil", nil, sdk.OK, ""},
		{"a nil *sdk.Error", none, sdk.OK, ""},
		{"wrapped", wrapped, sdk.NotFound, `get "a": no such secret`},
		{"wrapped with problems, told once", fmt.Errorf("open: %w", &sdk.Error{Code: sdk.InvalidArgument, Message: "settings", Problems: []sdk.Problem{{Path: "/a", Message: "bad"}}}),
			sdk.InvalidArgument, "settings: /a: bad"},
		{"joined", errors.Join(sdk.Errorf(sdk.Unavailable, "down"), sdk.Errorf(sdk.Internal, "bug")), sdk.Internal, "down bug"},
		{"unclassified", errors.New("boom"), sdk.Unknown, "boom"},
		{"another service's gRPC status", status.Error(codes.Unavailable, "theirs"), sdk.Unknown, "rpc error: code = Unavailable desc = theirs"},
		{"a bare code", sdk.NotFound, sdk.NotFound, "not found"},
		{"no message", &sdk.Error{Code: sdk.DataLoss}, sdk.DataLoss, "data loss"},
		{"the context's end", fmt.Errorf("get: %w", context.Canceled), sdk.Canceled, "get: context canceled"},
		{"the context's deadline", context.DeadlineExceeded, sdk.DeadlineExceeded, "context deadline exceeded"},
		{"a code that says all is well", &sdk.Error{Code: sdk.OK, Message: "x"}, sdk.Unknown, "x"},
		{"a code of nobody", &sdk.Error{Code: 99, Message: "x"}, sdk.Unknown, "x"},
		{"gRPC's OutOfRange, which is not ours", &sdk.Error{Code: 11, Message: "x"}, sdk.Unknown, "x"},
		{"a message over lines", sdk.Errorf(sdk.Internal, "a\r\n\tb\x1b[31mc\u2028d"), sdk.Internal, "a b [31mc d"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := wire.FromStatus(t.Context(), "get", wire.Status(c.err))
			if code := sdk.CodeOf(got); code != c.code {
				t.Errorf("code %v, want %v", code, c.code)
			}
			if got != nil && got.Error() != c.message {
				t.Errorf("message %q, want %q", got, c.message)
			}
		})
	}
}

func TestUnknownStoreIsToldFromADisabledSecret(t *testing.T) {
	got := wire.FromStatus(t.Context(), "get", wire.Status(wire.UnknownStore("prod~3")))
	if !wire.IsUnknownStore(got) || sdk.CodeOf(got) != sdk.FailedPrecondition {
		t.Errorf("%v: unknown store %v, code %v", got, wire.IsUnknownStore(got), sdk.CodeOf(got))
	}
	if disabled := wire.FromStatus(t.Context(), "get", wire.Status(sdk.Errorf(sdk.FailedPrecondition, "disabled"))); wire.IsUnknownStore(disabled) {
		t.Error("a disabled secret is taken for an unknown store")
	}
}

func TestAStatusWithoutOurErrorIsTheTransports(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	cases := []struct {
		name      string
		ctx       context.Context
		status    codes.Code
		code      sdk.Code
		transport bool
	}{
		{"the process is gone", t.Context(), codes.Unavailable, sdk.Unavailable, true},
		{"the connection was closed under us", t.Context(), codes.Canceled, sdk.Unavailable, true},
		{"our caller left", ended, codes.Canceled, sdk.Canceled, false},
		{"our deadline passed", late, codes.DeadlineExceeded, sdk.DeadlineExceeded, false},
		{"no such method", t.Context(), codes.Unimplemented, sdk.Unimplemented, false},
		{"a message too large is no throttling", t.Context(), codes.ResourceExhausted, sdk.Internal, false},
		{"a backend's code that no error explains", t.Context(), codes.NotFound, sdk.Internal, true},
		{"a broken stream", t.Context(), codes.Internal, sdk.Internal, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := wire.FromStatus(c.ctx, "get", status.Error(c.status, "why"))
			if sdk.CodeOf(got) != c.code || wire.IsTransport(got) != c.transport {
				t.Errorf("%v: code %v, transport %v; want %v, %v", got, sdk.CodeOf(got), wire.IsTransport(got), c.code, c.transport)
			}
			if cause := c.ctx.Err(); cause != nil && !errors.Is(got, cause) {
				t.Errorf("errors.Is(%v, %v) is false", got, cause)
			}
		})
	}
}

func TestWhatAPluginClaimsInAnErrorIsBounded(t *testing.T) {
	long := strings.Repeat("é\n", 100_000)
	p := &pb.Error{Code: -3, Message: long, Reason: long, RequestId: long, RetryAfter: &durationpb.Duration{Seconds: -math.MaxInt64}}
	for range 5000 {
		p.Problems = append(p.Problems, &pb.Problem{Path: long, Message: long})
	}
	err := wire.DecodeError(p)
	var e *sdk.Error
	if !errors.As(err, &e) {
		t.Fatalf("a %T, want a *sdk.Error", err)
	}
	if e.Code != sdk.Unknown || e.RetryAfter != 0 || len(e.Problems) != 100 {
		t.Errorf("code %v, retry after %v, %d problems; want unknown, 0, 100", e.Code, e.RetryAfter, len(e.Problems))
	}
	for name, s := range map[string]string{"message": e.Message, "reason": e.Reason, "request id": e.RequestID, "path": e.Problems[0].Path} {
		if len(s) > wire.MaxText || strings.ContainsAny(s, "\n\r") || !utf8.ValidString(s) {
			t.Errorf("%s has %d bytes, valid %v; want one line of at most %d", name, len(s), utf8.ValidString(s), wire.MaxText)
		}
	}
}

func FuzzErrorRoundTrip(f *testing.F) {
	f.Add([]byte("get a: no"), uint32(5))
	f.Add(bytes.Repeat([]byte{0xff, 'a', '\n'}, 700), uint32(11))
	f.Fuzz(func(t *testing.T, data []byte, code uint32) {
		e := (&source{data: data}).err()
		if got := wire.FromStatus(t.Context(), "op", wire.Status(e)); show(got) != show(e) {
			t.Errorf("after the wire:\n%s\nwant\n%s", show(got), show(e))
		}
		raw := &sdk.Error{Code: sdk.Code(code), Message: string(data), Reason: string(data)}
		once := wire.FromStatus(t.Context(), "op", wire.Status(raw))
		if twice := wire.FromStatus(t.Context(), "op", wire.Status(once)); show(once) != show(twice) {
			t.Errorf("a second crossing changed the error:\n%s\nwant\n%s", show(twice), show(once))
		}
	})
}
