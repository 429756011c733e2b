package wire

import (
	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodePut gives the message of a write. It shares the value's bytes.
func EncodePut(handle string, r sdk.PutRequest) *pb.PutRequest {
	out := &pb.PutRequest{
		Store:          handle,
		Name:           valid(r.Name),
		Value:          r.Value.Reveal(),
		Description:    valid(r.Description),
		Labels:         validMap(r.Labels),
		IdempotencyKey: valid(r.IdempotencyKey),
	}
	switch {
	case r.If.Absent():
		out.Precondition = &pb.PutRequest_IfAbsent{IfAbsent: true}
	case !r.If.IsZero():
		out.Precondition = &pb.PutRequest_IfVersion{IfVersion: valid(r.If.Version())}
	}
	return out
}

// DecodePut takes the message of a write. if_absent is only ever true: a false one is no precondition that anybody could
// mean, and becomes an IfVersion without a version, which [AllowPut] refuses.
func DecodePut(p *pb.PutRequest) sdk.PutRequest {
	out := sdk.PutRequest{
		Name:           p.GetName(),
		Value:          sdk.NewSensitive(p.GetValue()),
		Description:    p.GetDescription(),
		Labels:         p.GetLabels(),
		IdempotencyKey: p.GetIdempotencyKey(),
	}
	switch x := p.GetPrecondition().(type) {
	case *pb.PutRequest_IfAbsent:
		out.If = sdk.IfVersion("")
		if x.IfAbsent {
			out.If = sdk.IfAbsent()
		}
	case *pb.PutRequest_IfVersion:
		out.If = sdk.IfVersion(x.IfVersion)
	}
	return out
}

// EncodePutResult gives the answer of a write.
func EncodePutResult(r sdk.PutResult) *pb.PutResponse {
	return &pb.PutResponse{Version: valid(r.Version)}
}

// DecodePutResult takes the answer of a write.
func DecodePutResult(p *pb.PutResponse) sdk.PutResult {
	return sdk.PutResult{Version: p.GetVersion()}
}

// EncodeDelete gives the message of a delete.
func EncodeDelete(handle string, r sdk.DeleteRequest) *pb.DeleteRequest {
	return &pb.DeleteRequest{Store: handle, Name: valid(r.Name), Purge: r.Purge, RecoveryWindow: encodeDuration(r.RecoveryWindow)}
}

// DecodeDelete takes the message of a delete.
func DecodeDelete(p *pb.DeleteRequest) sdk.DeleteRequest {
	return sdk.DeleteRequest{Name: p.GetName(), Purge: p.GetPurge(), RecoveryWindow: decodeDuration(p.GetRecoveryWindow())}
}

// EncodeDeleteResult gives the answer of a delete.
func EncodeDeleteResult(r sdk.DeleteResult) *pb.DeleteResponse {
	return &pb.DeleteResponse{Recoverable: r.Recoverable, RecoverableUntil: encodeTime(r.Until)}
}

// DecodeDeleteResult takes the answer of a delete.
func DecodeDeleteResult(p *pb.DeleteResponse) sdk.DeleteResult {
	return sdk.DeleteResult{Recoverable: p.GetRecoverable(), Until: decodeTime(p.GetRecoverableUntil())}
}

// EncodeRestore gives the message of a restore.
func EncodeRestore(handle string, r sdk.RestoreRequest) *pb.RestoreRequest {
	return &pb.RestoreRequest{Store: handle, Name: valid(r.Name)}
}

// DecodeRestore takes the message of a restore.
func DecodeRestore(p *pb.RestoreRequest) sdk.RestoreRequest {
	return sdk.RestoreRequest{Name: p.GetName()}
}
