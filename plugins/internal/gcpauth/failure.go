package gcpauth

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/sdk"
)

// Failure turns what a call met into an [sdk.Error]; nil stays nil. explain adds to a status what to do about it, and the
// service's own words where they cannot quote a value; its text begins with ": ".
func Failure(ctx context.Context, op, object string, err error, explain func(*status.Status) string) error {
	if err == nil {
		return nil
	}
	var known *sdk.Error
	if errors.As(err, &known) { // a login that failed, an answer that was found wrong
		e := sdk.Errorf(known.Code, "%s %q: %s", op, object, known.Message)
		e.Reason, e.RequestID, e.RetryAfter = known.Reason, known.RequestID, known.RetryAfter
		return e
	}
	st, ok := status.FromError(err)
	switch c := st.Code(); {
	case errors.Is(err, context.Canceled), c == codes.Canceled && ctx.Err() != nil:
		return sdk.Errorf(sdk.Canceled, "%s %q: %w", op, object, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), c == codes.DeadlineExceeded:
		return sdk.Errorf(sdk.DeadlineExceeded, "%s %q: no answer in time: %w", op, object, context.DeadlineExceeded)
	case !ok:
		return sdk.Errorf(sdk.Unavailable, "%s %q: %w", op, object, err)
	}
	e := sdk.Errorf(codeOf(st.Code()), "%s %q: %s%s", op, object, code.Code(st.Code()), explain(st))
	e.Reason = code.Code(st.Code()).String()
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			e.Reason = d.GetReason()
		case *errdetails.PreconditionFailure:
			if v := d.GetViolations(); len(v) > 0 {
				e.Reason = v[0].GetType()
			}
		case *errdetails.RequestInfo:
			e.RequestID = d.GetRequestId()
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

// codeOf reads the code of a status. INTERNAL, UNKNOWN and a CANCELLED that is not ours are failures of the service or of
// something on the way, which it maps to 500 and 499 in HTTP, and pass like a 5xx.
// https://cloud.google.com/apis/design/errors#handling_errors
func codeOf(c codes.Code) sdk.Code {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return sdk.InvalidArgument
	case codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.Aborted, codes.Unimplemented, codes.DataLoss:
		return sdk.Code(c) // the numbers are the same
	}
	return sdk.Unavailable
}

const (
	maxAttempts = 3
	firstWait   = 100 * time.Millisecond // after the first attempt, doubled and jittered
)

// Repeat makes an attempt, whose failures are [sdk.Error]s, up to three times within the time of ctx. A wait that would
// outlast ctx is not begun, so that the caller hears at once when to come again. Another attempt may mend what is throttled,
// unavailable or damaged on the way.
func Repeat(ctx context.Context, attempt func() error) error {
	for n := 0; ; n++ {
		err := attempt()
		var e *sdk.Error
		if n+1 == maxAttempts || !errors.As(err, &e) || !passing(e.Code) {
			return err
		}
		wait := firstWait << n
		wait = max(e.RetryAfter, wait/2+rand.N(wait))
		if end, ok := ctx.Deadline(); ok && time.Now().Add(wait).After(end) {
			return err
		}
		if Pause(ctx, wait) != nil {
			return err
		}
	}
}

// Pause lets d pass, or fails with the context's error.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func passing(c sdk.Code) bool {
	return c == sdk.Unavailable || c == sdk.ResourceExhausted || c == sdk.DataLoss
}
