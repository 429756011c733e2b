package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodeGet gives the message of a request on the store with that handle; so do its siblings.
func EncodeGet(handle string, r sdk.GetRequest) *pb.GetRequest {
	return &pb.GetRequest{Store: handle, Name: valid(r.Name), Version: valid(r.Version)}
}

// DecodeGet takes the message of a request; so do its siblings.
func DecodeGet(p *pb.GetRequest) sdk.GetRequest {
	return sdk.GetRequest{Name: p.GetName(), Version: p.GetVersion()}
}

// EncodeSecret gives the message of a secret. It shares the value's bytes.
func EncodeSecret(s sdk.Secret) *pb.Secret {
	return &pb.Secret{
		Value:     s.Value.Reveal(),
		Version:   valid(s.Version),
		MediaType: Line(s.MediaType, MaxText),
		Created:   encodeTime(s.Created),
		Expires:   encodeTime(s.Expires),
	}
}

// DecodeSecret takes the message of a secret; nil is an empty one. It shares the value's bytes.
func DecodeSecret(p *pb.Secret) sdk.Secret {
	return sdk.Secret{
		Value:     sdk.NewSensitive(p.GetValue()),
		Version:   p.GetVersion(),
		MediaType: Line(p.GetMediaType(), MaxText),
		Created:   decodeTime(p.GetCreated()),
		Expires:   decodeTime(p.GetExpires()),
	}
}

// EncodeBatch gives the message of a request for many secrets.
func EncodeBatch(handle string, r sdk.BatchRequest) *pb.GetBatchRequest {
	return &pb.GetBatchRequest{Store: handle, Names: validAll(r.Names)}
}

// DecodeBatch takes the message of a request for many secrets.
func DecodeBatch(p *pb.GetBatchRequest) sdk.BatchRequest {
	return sdk.BatchRequest{Names: p.GetNames()}
}

// EncodeResults gives the answer of a batch. Secrets that would make it larger than a message may be become
// ResourceExhausted with [ReasonMessageLimit]; smaller ones after them still fit.
func EncodeResults(results []sdk.GetResult) *pb.GetBatchResponse {
	out := &pb.GetBatchResponse{Results: make([]*pb.GetBatchResponse_Result, 0, len(results))}
	room := sdk.MaxMessage - headroom
	for _, x := range results {
		r := encodeResult(x)
		if n := proto.Size(r) + itemOverhead; n <= room {
			room -= n
		} else {
			r = encodeResult(sdk.GetResult{Err: errFull()})
			room -= proto.Size(r) + itemOverhead
		}
		out.Results = append(out.Results, r)
	}
	return out
}

const itemOverhead = 8 // bytes of an item's own tag and length, at most

func errFull() error {
	e := sdk.Errorf(sdk.ResourceExhausted, "get_batch: the answer is full at %d bytes; ask for this one alone", sdk.MaxMessage)
	e.Reason = ReasonMessageLimit
	return e
}

func encodeResult(x sdk.GetResult) *pb.GetBatchResponse_Result {
	if e := EncodeError(x.Err); e != nil {
		return &pb.GetBatchResponse_Result{Result: &pb.GetBatchResponse_Result_Error{Error: e}}
	}
	return &pb.GetBatchResponse_Result{Result: &pb.GetBatchResponse_Result_Secret{Secret: EncodeSecret(x.Secret)}}
}

// DecodeResults takes the answer of a batch. A result that holds nothing is an empty secret.
func DecodeResults(p *pb.GetBatchResponse) []sdk.GetResult {
	out := make([]sdk.GetResult, len(p.GetResults()))
	for i, x := range p.GetResults() {
		if err := DecodeError(x.GetError()); err != nil {
			out[i].Err = err
			continue
		}
		out[i].Secret = DecodeSecret(x.GetSecret())
	}
	return out
}

// EncodeStat gives the message of a request for one secret's metadata.
func EncodeStat(handle string, r sdk.StatRequest) *pb.StatRequest {
	return &pb.StatRequest{Store: handle, Name: valid(r.Name)}
}

// DecodeStat takes the message of a request for one secret's metadata.
func DecodeStat(p *pb.StatRequest) sdk.StatRequest { return sdk.StatRequest{Name: p.GetName()} }
