package gcpkms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// key is a symmetric key with its versions, the first of which has number 1. The newest is the primary.
type key struct {
	name     string
	level    kmspb.ProtectionLevel
	versions []*version
}

// version is the material of a key, and what may be done with it.
type version struct {
	name  string
	id    [4]byte // in each of its ciphertexts
	state kmspb.CryptoKeyVersion_CryptoKeyVersionState
	aead  cipher.AEAD
}

func (k *key) primary() *version { return k.versions[len(k.versions)-1] }

// CreateKey makes a key, "projects/P/locations/L/keyRings/R/cryptoKeys/K", with an enabled version. One of the level HSM takes
// less than one of the level SOFTWARE.
func (s *Server) CreateKey(name string, level kmspb.ProtectionLevel) {
	s.mu.Lock()
	s.keys[name] = &key{name: name, level: level}
	s.mu.Unlock()
	s.AddVersion(name)
}

// HasKey reports whether a key was made.
func (s *Server) HasKey(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[name] != nil
}

// AddVersion gives a key a new primary version, and answers its name. The key must exist.
func (s *Server) AddVersion(name string) string {
	material := make([]byte, 32)
	_, _ = rand.Read(material)
	block, err := aes.NewCipher(material)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[name]
	v := &version{name: fmt.Sprintf("%s/cryptoKeyVersions/%d", name, len(k.versions)+1), state: kmspb.CryptoKeyVersion_ENABLED, aead: aead}
	_, _ = rand.Read(v.id[:])
	k.versions = append(k.versions, v)
	return v.name
}

// SetState disables a version, schedules its destruction, destroys it, or enables it again.
func (s *Server) SetState(versionName string, state kmspb.CryptoKeyVersion_CryptoKeyVersionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		for _, v := range k.versions {
			if v.name == versionName {
				v.state = state
			}
		}
	}
}

var nameForm = regexp.MustCompile(`^(projects/[^/]+/locations/[^/]+/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63})(?:/cryptoKeyVersions/([1-9]\d*))?$`)

// find looks up the key, and the version if the name has one, for a caller who needs permission. The lock must be held.
func (s *Server) find(name, permission string) (*key, *version, error) {
	m := nameForm.FindStringSubmatch(name)
	if m == nil {
		return nil, nil, status.Error(codes.InvalidArgument, "The request has a resource name that is not valid.")
	}
	if s.denied[permission+" "+m[1]] {
		return nil, nil, refuse(codes.PermissionDenied, fmt.Sprintf("Permission '%s' denied on resource '%s' (or it may not exist).", permission, m[1]),
			&errdetails.ErrorInfo{Reason: "IAM_PERMISSION_DENIED", Domain: "cloudkms.googleapis.com", Metadata: map[string]string{"permission": permission, "resource": m[1]}})
	}
	k := s.keys[m[1]]
	if k == nil {
		return nil, nil, status.Errorf(codes.NotFound, "CryptoKey %s not found.", m[1])
	}
	if m[2] == "" {
		return k, nil, nil
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n > len(k.versions) {
		return nil, nil, status.Errorf(codes.NotFound, "CryptoKeyVersion %s not found.", name)
	}
	return k, k.versions[n-1], nil
}

// usable refuses a version that is not enabled.
func (v *version) usable() error {
	if v.state == kmspb.CryptoKeyVersion_ENABLED {
		return nil
	}
	return refuse(codes.FailedPrecondition, fmt.Sprintf("%s is not enabled, current state is: %s.", v.name, v.state),
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "KEY_" + v.state.String(), Subject: v.name}}})
}
