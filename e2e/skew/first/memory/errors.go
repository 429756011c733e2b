package memory

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

// failure is an error of the contract.
type failure struct{ message *pb.Error }

func (f failure) Error() string { return f.message.GetMessage() }

func fail(code codes.Code, format string, args ...any) error {
	return failure{&pb.Error{Code: int32(code), Message: fmt.Sprintf(format, args...), Reason: code.String()}} //nolint:gosec // gRPC's codes are few
}

// failed makes the status of a failure.
func (p Plugin) failed(err error) error {
	var f failure
	if !errors.As(err, &f) {
		return err
	}
	p.extend(f.message)
	full, derr := status.New(codes.Code(f.message.GetCode()), f.Error()).WithDetails(f.message) //nolint:gosec // fail's
	if derr != nil {
		return derr
	}
	return full.Err()
}
