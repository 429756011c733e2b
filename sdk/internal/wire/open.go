package wire

import (
	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodeOpened gives the answer of Open.
func EncodeOpened(can sdk.Capabilities, reach *sdk.Reach) *pb.OpenResponse {
	out := &pb.OpenResponse{Capabilities: can.Names()}
	if reach != nil {
		out.Reach = &pb.Reach{Endpoints: validAll(reach.Endpoints), Files: validAll(reach.Files), Ambient: reach.Ambient,
			Writes: validAll(reach.Writes)}
	}
	return out
}

// DecodeOpened takes the answer of Open. Words that this contract does not know are ignored: nobody would use them.
func DecodeOpened(p *pb.OpenResponse) (sdk.Capabilities, *sdk.Reach) {
	can := sdk.ParseCapabilities(p.GetCapabilities())
	r := p.GetReach()
	if r == nil {
		return can, nil
	}
	return can, &sdk.Reach{Endpoints: r.Endpoints, Files: r.Files, Ambient: r.Ambient, Writes: r.Writes}
}

// EncodeReport gives the answer of Check.
func EncodeReport(r sdk.Report) *pb.CheckResponse {
	return &pb.CheckResponse{Identity: Line(r.Identity, MaxText), Notes: lines(r.Notes, maxNotes)}
}

// DecodeReport takes the answer of Check.
func DecodeReport(p *pb.CheckResponse) sdk.Report {
	return sdk.Report{Identity: Line(p.GetIdentity(), MaxText), Notes: lines(p.GetNotes(), maxNotes)}
}

const maxNotes = 32 // notes of one report

// EncodeEvent gives one answer of Watch.
func EncodeEvent(e sdk.Event) *pb.WatchResponse {
	return &pb.WatchResponse{Name: valid(e.Name), Version: valid(e.Version)}
}

// DecodeEvent takes one answer of Watch.
func DecodeEvent(p *pb.WatchResponse) sdk.Event {
	return sdk.Event{Name: p.GetName(), Version: p.GetVersion()}
}
