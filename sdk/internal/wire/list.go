package wire

import (
	"math"

	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodeMeta gives the message of a secret's metadata.
func EncodeMeta(m sdk.Meta) *pb.Meta {
	return &pb.Meta{
		Name:        valid(m.Name),
		Version:     valid(m.Version),
		Description: valid(m.Description),
		Labels:      validMap(m.Labels),
		Created:     encodeTime(m.Created),
		Updated:     encodeTime(m.Updated),
		Expires:     encodeTime(m.Expires),
	}
}

// DecodeMeta takes the message of a secret's metadata.
func DecodeMeta(p *pb.Meta) sdk.Meta {
	return sdk.Meta{
		Name:        p.GetName(),
		Version:     p.GetVersion(),
		Description: p.GetDescription(),
		Labels:      p.GetLabels(),
		Created:     decodeTime(p.GetCreated()),
		Updated:     decodeTime(p.GetUpdated()),
		Expires:     decodeTime(p.GetExpires()),
	}
}

// EncodeList gives the message of a request for one page of secrets.
func EncodeList(handle string, r sdk.ListRequest) *pb.ListRequest {
	return &pb.ListRequest{Store: handle, Prefix: valid(r.Prefix), PageToken: valid(r.PageToken), PageSize: pageSize(r.PageSize)}
}

// DecodeList takes the message of a request for one page of secrets.
func DecodeList(p *pb.ListRequest) sdk.ListRequest {
	return sdk.ListRequest{Prefix: p.GetPrefix(), PageToken: p.GetPageToken(), PageSize: int(p.GetPageSize())}
}

// EncodePage gives the message of one page of secrets.
func EncodePage(page sdk.ListPage) *pb.ListResponse {
	out := &pb.ListResponse{NextPageToken: valid(page.Next)}
	for _, m := range page.Items {
		out.Items = append(out.Items, EncodeMeta(m))
	}
	return out
}

// DecodePage takes the message of one page of secrets.
func DecodePage(p *pb.ListResponse) sdk.ListPage {
	out := sdk.ListPage{Next: p.GetNextPageToken()}
	for _, m := range p.GetItems() {
		out.Items = append(out.Items, DecodeMeta(m))
	}
	return out
}

// EncodeVersions gives the message of a request for one page of versions.
func EncodeVersions(handle string, r sdk.VersionsRequest) *pb.VersionsRequest {
	return &pb.VersionsRequest{Store: handle, Name: valid(r.Name), PageToken: valid(r.PageToken), PageSize: pageSize(r.PageSize)}
}

// DecodeVersions takes the message of a request for one page of versions.
func DecodeVersions(p *pb.VersionsRequest) sdk.VersionsRequest {
	return sdk.VersionsRequest{Name: p.GetName(), PageToken: p.GetPageToken(), PageSize: int(p.GetPageSize())}
}

// EncodeVersionsPage gives the message of one page of versions.
func EncodeVersionsPage(page sdk.VersionsPage) *pb.VersionsResponse {
	out := &pb.VersionsResponse{NextPageToken: valid(page.Next)}
	for _, v := range page.Versions {
		out.Versions = append(out.Versions, encodeVersion(v))
	}
	return out
}

// DecodeVersionsPage takes the message of one page of versions.
func DecodeVersionsPage(p *pb.VersionsResponse) sdk.VersionsPage {
	out := sdk.VersionsPage{Next: p.GetNextPageToken()}
	for _, v := range p.GetVersions() {
		out.Versions = append(out.Versions, decodeVersion(v))
	}
	return out
}

func encodeVersion(v sdk.Version) *pb.Version {
	return &pb.Version{
		Version: valid(v.Version),
		Current: v.Current,
		State:   pb.State(knownState(v.State)), //nolint:gosec // knownState bounds it
		Aliases: validAll(v.Aliases),
		Created: encodeTime(v.Created),
		Expires: encodeTime(v.Expires),
	}
}

func decodeVersion(p *pb.Version) sdk.Version {
	return sdk.Version{
		Version: p.GetVersion(),
		Current: p.GetCurrent(),
		State:   knownState(sdk.State(p.GetState())),
		Aliases: p.GetAliases(),
		Created: decodeTime(p.GetCreated()),
		Expires: decodeTime(p.GetExpires()),
	}
}

// knownState makes unknown of a number that is no state of this contract.
func knownState(s sdk.State) sdk.State {
	if s < sdk.StateUnknown || s > sdk.StateDestroyed {
		return sdk.StateUnknown
	}
	return s
}

// pageSize keeps a size that no page may have out of range for the other end too.
func pageSize(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) } //nolint:gosec // bounded
