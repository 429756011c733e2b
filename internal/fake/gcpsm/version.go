package gcpsm

import (
	"context"
	"hash/crc32"
	"slices"
	"strconv"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// maxPayload is the most that a version holds, in bytes.
// https://cloud.google.com/secret-manager/quotas
const maxPayload = 64 << 10

// AddSecretVersion makes a version, which is enabled and the latest.
func (s *Server) AddSecretVersion(_ context.Context, r *smpb.AddSecretVersionRequest) (*smpb.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find("secretmanager.versions.add", r.GetParent())
	if err != nil {
		return nil, err
	}
	data, sum := r.GetPayload().GetData(), r.GetPayload().DataCrc32C
	switch {
	case len(data) == 0:
		return nil, status.Error(codes.InvalidArgument, "Secret Payload cannot be empty.")
	case len(data) > maxPayload:
		return nil, status.Error(codes.InvalidArgument, "The payload is larger than 65536 bytes.")
	case sum != nil && *sum != castagnoli(data):
		return nil, status.Error(codes.InvalidArgument, "The checksum does not match the payload.")
	}
	v := &version{data: slices.Clone(data), about: &smpb.SecretVersion{
		Name:       c.about.GetName() + "/versions/" + strconv.Itoa(len(c.versions)+1),
		CreateTime: timestamppb.Now(), State: smpb.SecretVersion_ENABLED, Etag: s.etag(), ClientSpecifiedPayloadChecksum: sum != nil,
		ReplicationStatus: replicated(c.about.GetReplication()),
	}}
	c.versions = append(c.versions, v)
	return proto.CloneOf(v.about), nil
}

func replicated(r *smpb.Replication) *smpb.ReplicationStatus {
	switch p := r.GetReplication().(type) {
	case *smpb.Replication_Automatic_:
		return &smpb.ReplicationStatus{ReplicationStatus: &smpb.ReplicationStatus_Automatic{Automatic: &smpb.ReplicationStatus_AutomaticStatus{}}}
	case *smpb.Replication_UserManaged_:
		status := &smpb.ReplicationStatus_UserManagedStatus{}
		for _, replica := range p.UserManaged.GetReplicas() {
			status.Replicas = append(status.Replicas, &smpb.ReplicationStatus_UserManagedStatus_ReplicaStatus{Location: replica.GetLocation()})
		}
		return &smpb.ReplicationStatus{ReplicationStatus: &smpb.ReplicationStatus_UserManaged{UserManaged: status}}
	}
	return nil // regional
}

// findVersion gives a version by its number, an alias, or "latest", which is the newest one, whatever its state.
func (s *Server) findVersion(permission, resource string) (*version, error) {
	id, which, err := s.parse(resource)
	if err != nil {
		return nil, err
	}
	if err := s.may(permission, id); err != nil {
		return nil, err
	}
	c := s.secrets[id]
	if c == nil || len(c.versions) == 0 {
		return nil, status.Errorf(codes.NotFound, "Secret [%s/secrets/%s] not found or has no versions.", s.parent(), id)
	}
	n, err := strconv.Atoi(which)
	if which == "latest" {
		n = len(c.versions) - s.lag
	} else if err != nil {
		n = int(c.about.GetVersionAliases()[which])
	}
	if n < 1 || n > len(c.versions) {
		return nil, status.Errorf(codes.NotFound, "Secret Version [%s/secrets/%s/versions/%s] not found.", s.parent(), id, which)
	}
	return c.versions[n-1], nil
}

// AccessSecretVersion answers the payload of an enabled version, with its checksum.
func (s *Server) AccessSecretVersion(ctx context.Context, r *smpb.AccessSecretVersionRequest) (*smpb.AccessSecretVersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion("secretmanager.versions.access", r.GetName())
	if err != nil {
		return nil, err
	}
	if v.about.GetState() != smpb.SecretVersion_ENABLED {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in %s state.", v.about.GetName(), v.about.GetState())
	}
	sum := castagnoli(v.data)
	if fault.FromContext(ctx).WrongCRC {
		sum++
	}
	return &smpb.AccessSecretVersionResponse{Name: v.about.GetName(), Payload: &smpb.SecretPayload{Data: v.data, DataCrc32C: &sum}}, nil
}

// GetSecretVersion answers what is known of a version beside its payload.
func (s *Server) GetSecretVersion(_ context.Context, r *smpb.GetSecretVersionRequest) (*smpb.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion("secretmanager.versions.get", r.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(v.about), nil
}

// ListSecretVersions pages through the versions, the newest first. Of the filter language it knows "state:STATE".
// https://cloud.google.com/secret-manager/docs/filtering
func (s *Server) ListSecretVersions(_ context.Context, r *smpb.ListSecretVersionsRequest) (*smpb.ListSecretVersionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find("secretmanager.versions.list", r.GetParent())
	if err != nil {
		return nil, err
	}
	out := &smpb.ListSecretVersionsResponse{}
	for _, v := range slices.Backward(c.versions) {
		if r.GetFilter() == "" || r.GetFilter() == "state:"+v.about.GetState().String() {
			out.Versions = append(out.Versions, proto.CloneOf(v.about))
		}
	}
	out.TotalSize = int32(len(out.Versions)) //nolint:gosec // of a test
	out.Versions, out.NextPageToken, err = page(out.Versions, r.GetPageSize(), r.GetPageToken())
	return out, err
}

// DisableSecretVersion makes a version unreadable until it is enabled.
func (s *Server) DisableSecretVersion(_ context.Context, r *smpb.DisableSecretVersionRequest) (*smpb.SecretVersion, error) {
	return s.setState("secretmanager.versions.disable", r.GetName(), smpb.SecretVersion_DISABLED)
}

// EnableSecretVersion undoes DisableSecretVersion.
func (s *Server) EnableSecretVersion(_ context.Context, r *smpb.EnableSecretVersionRequest) (*smpb.SecretVersion, error) {
	return s.setState("secretmanager.versions.enable", r.GetName(), smpb.SecretVersion_ENABLED)
}

// DestroySecretVersion removes a payload for good.
func (s *Server) DestroySecretVersion(_ context.Context, r *smpb.DestroySecretVersionRequest) (*smpb.SecretVersion, error) {
	return s.setState("secretmanager.versions.destroy", r.GetName(), smpb.SecretVersion_DESTROYED)
}

func (s *Server) setState(permission, resource string, state smpb.SecretVersion_State) (*smpb.SecretVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion(permission, resource)
	if err != nil {
		return nil, err
	}
	if v.about.GetState() == smpb.SecretVersion_DESTROYED && state != smpb.SecretVersion_DESTROYED {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DESTROYED state.", v.about.GetName())
	}
	v.about.State, v.about.Etag = state, s.etag()
	if state == smpb.SecretVersion_DESTROYED {
		v.data, v.about.DestroyTime = nil, timestamppb.Now()
	}
	return proto.CloneOf(v.about), nil
}

// Lag makes "latest" a version that is so many older than the newest, as may be for some minutes after one was added.
// https://cloud.google.com/secret-manager/docs/reference/consistency
func (s *Server) Lag(versions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = versions
}

func castagnoli(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}
