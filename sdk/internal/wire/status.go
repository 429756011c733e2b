package wire

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Status gives the gRPC status of an error, with our message as its detail; nil for no error.
func Status(err error) error {
	p := EncodeError(err)
	if p == nil {
		return nil
	}
	bare := status.New(codes.Code(uint32(p.Code)), p.Message)
	full, derr := bare.WithDetails(p)
	if derr != nil {
		return bare.Err()
	}
	return full.Err()
}

// FromStatus gives the error of a call that was made with ctx; nil for no error. op names the call. A status with our
// detail is the plugin's answer. One without it is made by gRPC:
//   - while ctx has ended, the context's error;
//   - Unimplemented: the plugin has no such method, which is an answer too;
//   - ResourceExhausted: a message over the limit, which is Internal, since nobody throttled;
//   - anything else: the plugin's process or connection, and IsTransport is true. Canceled while ctx goes on means that
//     the connection was closed, hence Unavailable. A code that only a backend's answer can mean is Internal.
func FromStatus(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	for _, d := range st.Details() {
		if p, ok := d.(*pb.Error); ok {
			return DecodeError(p)
		}
	}
	text := Line(st.Message(), MaxText)
	switch c := st.Code(); c {
	case codes.Canceled, codes.DeadlineExceeded:
		cerr := ctx.Err()
		if d, ok := ctx.Deadline(); cerr == nil && ok && !time.Now().Before(d) {
			cerr = context.DeadlineExceeded // the plugin's timer may fire just before ours
		}
		if cerr != nil {
			return sdk.Errorf(sdk.CodeOf(cerr), "%s: %w", op, cerr)
		}
		return &transportError{sdk.Errorf(sdk.Unavailable, "%s: plugin: %s", op, text)}
	case codes.Unimplemented:
		return sdk.Errorf(sdk.Unimplemented, "%s: the plugin has no such call", op)
	case codes.ResourceExhausted:
		return sdk.Errorf(sdk.Internal, "%s: a message is over the limit of %d bytes: %s", op, sdk.MaxMessage, text)
	case codes.Unavailable, codes.Internal, codes.Unknown:
		return &transportError{sdk.Errorf(sdk.Code(c), "%s: plugin: %s", op, text)}
	default:
		return &transportError{sdk.Errorf(sdk.Internal, "%s: the plugin answered status %s without an error of the contract: %s", op, c, text)}
	}
}

// transportError is a failure of the plugin's process or connection, not the plugin's answer.
type transportError struct{ err *sdk.Error }

func (e *transportError) Error() string { return e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

// IsTransport reports whether the plugin's process or connection failed, so that nobody knows whether the call happened.
func IsTransport(err error) bool {
	var e *transportError
	return errors.As(err, &e)
}
