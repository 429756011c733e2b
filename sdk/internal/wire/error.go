package wire

import (
	"errors"

	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Limits of one error.
const (
	maxReason   = 256 // bytes of the backend's word and of its request id
	maxProblems = 100
)

// ReasonMessageLimit is the Reason of a ResourceExhausted item of a batch whose answer was full. The backend did not
// throttle: asked for alone, the secret comes.
const ReasonMessageLimit = "message limit"

// EncodeError gives an error's message, nil for no error. A nil *sdk.Error in an error variable is no error.
func EncodeError(err error) *pb.Error {
	if isNil(err) {
		return nil
	}
	var e *sdk.Error
	out := &pb.Error{Code: int32(knownCode(sdk.CodeOf(err)))}
	if !errors.As(err, &e) || e == nil {
		e = &sdk.Error{}
	}
	text := err.Error()
	if error(e) == err || len(e.Problems) > 0 { //nolint:errorlint // identity is the question: Error() repeats the problems, which travel by themselves
		text = e.Message
	}
	if text = Line(text, MaxText); text == "" {
		text = sdk.Code(out.Code).String()
	}
	var unknown *unknownStoreError
	out.UnknownStore = errors.As(err, &unknown)
	out.Message = text
	out.Reason = Line(e.Reason, maxReason)
	out.RequestId = Line(e.RequestID, maxReason)
	out.RetryAfter = encodeDuration(max(e.RetryAfter, 0))
	for _, p := range e.Problems[:min(len(e.Problems), maxProblems)] {
		out.Problems = append(out.Problems, &pb.Problem{Path: Line(p.Path, MaxText), Message: Line(p.Message, MaxText)})
	}
	return out
}

// DecodeError gives the error of a message, nil for none. What the other end claims is cut to the contract's limits.
func DecodeError(p *pb.Error) error {
	if p == nil {
		return nil
	}
	e := &sdk.Error{
		Code:       knownCode(sdk.Code(uint32(p.Code))),
		Message:    Line(p.Message, MaxText),
		Reason:     Line(p.Reason, maxReason),
		RequestID:  Line(p.RequestId, maxReason),
		RetryAfter: max(decodeDuration(p.RetryAfter), 0),
	}
	for _, x := range p.Problems[:min(len(p.Problems), maxProblems)] {
		e.Problems = append(e.Problems, sdk.Problem{Path: Line(x.GetPath(), MaxText), Message: Line(x.GetMessage(), MaxText)})
	}
	if p.UnknownStore {
		e.Code = sdk.FailedPrecondition
		return &unknownStoreError{e}
	}
	return e
}

// knownCode makes Unknown of a number that is no code of the contract, and of OK, which no error has.
func knownCode(c sdk.Code) sdk.Code {
	const outOfRange = 11 // gRPC's, and not ours
	if c == sdk.OK || c == outOfRange || c > sdk.Unauthenticated {
		return sdk.Unknown
	}
	return c
}

func isNil(err error) bool {
	e, ok := err.(*sdk.Error) //nolint:errorlint // only the variable itself can hold a nil pointer that is no error
	return err == nil || ok && e == nil
}

// unknownStoreError says that a handle is not open in the plugin.
type unknownStoreError struct{ err *sdk.Error }

func (e *unknownStoreError) Error() string { return e.err.Error() }
func (e *unknownStoreError) Unwrap() error { return e.err }

// UnknownStore is the error of a call on a handle that is not open: FailedPrecondition, and IsUnknownStore tells it from
// a secret that is disabled.
func UnknownStore(handle string) error {
	return &unknownStoreError{sdk.Errorf(sdk.FailedPrecondition, "store %q is not open in this plugin", handle)}
}

// IsUnknownStore reports whether a handle is not open in the plugin.
func IsUnknownStore(err error) bool {
	var e *unknownStoreError
	return errors.As(err, &e)
}
