package gcpsm

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type secret struct {
	about    *smpb.Secret
	versions []*version // the first has the number 1
}

type version struct {
	about *smpb.SecretVersion
	data  []byte
}

var (
	idForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	labelForm = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	valueForm = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
	noteForm  = regexp.MustCompile(`^[a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?$`)
)

// CreateSecret makes a secret without versions.
func (s *Server) CreateSecret(_ context.Context, r *smpb.CreateSecretRequest) (*smpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, err := s.parse(r.GetParent()); err != nil {
		return nil, err
	}
	if err := s.may("secretmanager.secrets.create", ""); err != nil {
		return nil, err
	}
	about := proto.CloneOf(r.GetSecret())
	switch {
	case !idForm.MatchString(r.GetSecretId()):
		return nil, status.Error(codes.InvalidArgument, "The provided secret ID does not match the expected format [[a-zA-Z_0-9]+].")
	case s.location == "" && about.GetReplication().GetReplication() == nil:
		return nil, status.Error(codes.InvalidArgument, "Secret.replication must be set.")
	case s.location != "" && about.GetReplication() != nil:
		return nil, status.Error(codes.InvalidArgument, "Secret.replication must not be set for a regional secret.")
	case s.location == "" && about.GetCustomerManagedEncryption() != nil:
		return nil, status.Error(codes.InvalidArgument, "Secret.customer_managed_encryption is for regional secrets.")
	}
	if err := checkAbout(about); err != nil {
		return nil, err
	}
	if s.secrets[r.GetSecretId()] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s/secrets/%s] already exists.", s.parent(), r.GetSecretId())
	}
	about.Name, about.CreateTime, about.Etag = s.parent()+"/secrets/"+r.GetSecretId(), timestamppb.Now(), s.etag()
	s.secrets[r.GetSecretId()] = &secret{about: about}
	return proto.CloneOf(about), nil
}

func checkAbout(about *smpb.Secret) error {
	for k, v := range about.GetLabels() {
		if !labelForm.MatchString(k) || !valueForm.MatchString(v) {
			return status.Error(codes.InvalidArgument, "A label is not valid.")
		}
	}
	size := 0
	for k, v := range about.GetAnnotations() {
		if size += len(k) + len(v); !noteForm.MatchString(k) {
			return status.Error(codes.InvalidArgument, "The key of an annotation is not valid.")
		}
	}
	if len(about.GetLabels()) > 64 || size >= 16<<10 {
		return status.Error(codes.InvalidArgument, "There are too many labels or annotations.")
	}
	return nil
}

func (s *Server) etag() string {
	s.etags++
	return fmt.Sprintf("%q", strconv.FormatInt(int64(0x164d6252814611+s.etags), 16))
}

// find gives a secret that the caller may ask for.
func (s *Server) find(permission, resource string) (*secret, error) {
	id, _, err := s.parse(resource)
	if err != nil {
		return nil, err
	}
	if err := s.may(permission, id); err != nil {
		return nil, err
	}
	if c := s.secrets[id]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "Secret [%s/secrets/%s] not found.", s.parent(), id)
}

// GetSecret answers what is known of a secret beside its versions.
func (s *Server) GetSecret(_ context.Context, r *smpb.GetSecretRequest) (*smpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find("secretmanager.secrets.get", r.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(c.about), nil
}

// UpdateSecret changes labels, annotations and aliases, if the etag is current or not given.
func (s *Server) UpdateSecret(_ context.Context, r *smpb.UpdateSecretRequest) (*smpb.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find("secretmanager.secrets.update", r.GetSecret().GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(r.GetSecret().GetEtag(), c); err != nil {
		return nil, err
	}
	about := proto.CloneOf(c.about)
	for _, p := range r.GetUpdateMask().GetPaths() {
		switch p {
		case "labels":
			about.Labels = r.GetSecret().GetLabels()
		case "annotations":
			about.Annotations = r.GetSecret().GetAnnotations()
		case "version_aliases":
			about.VersionAliases = r.GetSecret().GetVersionAliases()
		default:
			return nil, status.Errorf(codes.InvalidArgument, "The field [%s] cannot be updated.", p)
		}
	}
	if err := checkAbout(about); err != nil {
		return nil, err
	}
	for alias, n := range about.GetVersionAliases() {
		if n < 1 || n > int64(len(c.versions)) {
			return nil, status.Errorf(codes.InvalidArgument, "The alias [%s] is of a version that does not exist.", alias)
		}
	}
	about.Etag = s.etag()
	c.about = about
	return proto.CloneOf(about), nil
}

func sameEtag(given string, c *secret) error {
	if given != "" && given != c.about.GetEtag() {
		return status.Error(codes.FailedPrecondition, "The etag provided is stale; the secret has been changed since it was read.")
	}
	return nil
}

// DeleteSecret removes a secret with all its versions for good.
func (s *Server) DeleteSecret(_ context.Context, r *smpb.DeleteSecretRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find("secretmanager.secrets.delete", r.GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(r.GetEtag(), c); err != nil {
		return nil, err
	}
	id, _, err := s.parse(r.GetName())
	delete(s.secrets, id)
	return &emptypb.Empty{}, err
}

// ListSecrets pages through the secrets by name. Of the filter language it knows "name:PART".
// https://cloud.google.com/secret-manager/docs/filtering
func (s *Server) ListSecrets(_ context.Context, r *smpb.ListSecretsRequest) (*smpb.ListSecretsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, err := s.parse(r.GetParent()); err != nil {
		return nil, err
	}
	if err := s.may("secretmanager.secrets.list", ""); err != nil {
		return nil, err
	}
	part, known := strings.CutPrefix(r.GetFilter(), "name:")
	if r.GetFilter() != "" && !known {
		return nil, status.Error(codes.InvalidArgument, "The filter is not valid.")
	}
	out := &smpb.ListSecretsResponse{}
	for _, id := range slices.Sorted(maps.Keys(s.secrets)) {
		if c := s.secrets[id]; strings.Contains(strings.ToLower(c.about.GetName()), strings.ToLower(part)) {
			out.Secrets = append(out.Secrets, proto.CloneOf(c.about))
		}
	}
	out.TotalSize = int32(len(out.Secrets)) //nolint:gosec // of a test
	var err error
	out.Secrets, out.NextPageToken, err = page(out.Secrets, r.GetPageSize(), r.GetPageToken())
	return out, err
}

// page cuts a page out of all. A token is the number of items before the page.
func page[T any](all []T, size int32, token string) (items []T, next string, err error) {
	from := 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(all) {
			return nil, "", status.Error(codes.InvalidArgument, "The page token is not valid.")
		}
	}
	if size <= 0 || size > 25000 {
		size = 25000
	}
	to := min(len(all), from+int(size))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return all[from:to], next, nil
}

// Age makes a secret as if it had been created earlier.
func (s *Server) Age(id string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	about := s.secrets[id].about
	about.CreateTime = timestamppb.New(about.GetCreateTime().AsTime().Add(-by))
}
