package gcpkms

import (
	"context"
	"crypto/rand"
	"hash/crc32"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// Limits of one request.
// https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1#encryptrequest
const (
	maxSoftware = 64 << 10 // bytes of a plaintext, and of additional data
	maxHSM      = 8 << 10  // bytes of both together
)

// Encrypt encrypts with the primary version, or with the one that is named.
func (s *Server) Encrypt(ctx context.Context, r *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	plaintext, aad := r.GetPlaintext(), r.GetAdditionalAuthenticatedData()
	s.mu.Lock()
	defer s.mu.Unlock()
	k, v, err := s.find(r.GetName(), UseToEncrypt)
	if err != nil {
		return nil, err
	}
	if v == nil {
		v = k.primary()
	}
	if err := checkSizes(k, plaintext, aad); err != nil {
		return nil, err
	}
	plainSeen, err := s.verify("plaintext", plaintext, r.GetPlaintextCrc32C())
	if err != nil {
		return nil, err
	}
	aadSeen, err := s.verify("additional_authenticated_data", aad, r.GetAdditionalAuthenticatedDataCrc32C())
	if err != nil {
		return nil, err
	}
	if err := v.usable(); err != nil {
		return nil, err
	}
	s.spend()
	ciphertext := v.seal(plaintext, aad)
	return &kmspb.EncryptResponse{Name: v.name, Ciphertext: ciphertext, CiphertextCrc32C: checksum(ctx, ciphertext),
		VerifiedPlaintextCrc32C: plainSeen, VerifiedAdditionalAuthenticatedDataCrc32C: aadSeen, ProtectionLevel: k.level}, nil
}

// Decrypt takes a key, whose version is in the ciphertext.
func (s *Server) Decrypt(ctx context.Context, r *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	aad := r.GetAdditionalAuthenticatedData()
	s.mu.Lock()
	defer s.mu.Unlock()
	k, named, err := s.find(r.GetName(), UseToDecrypt)
	if err != nil {
		return nil, err
	}
	if named != nil {
		return nil, status.Error(codes.InvalidArgument, "The request has a resource name that is not valid.")
	}
	if _, err := s.verify("ciphertext", r.GetCiphertext(), r.GetCiphertextCrc32C()); err != nil {
		return nil, err
	}
	if _, err := s.verify("additional_authenticated_data", aad, r.GetAdditionalAuthenticatedDataCrc32C()); err != nil {
		return nil, err
	}
	head, body, ok := parse(r.GetCiphertext())
	if !ok {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed: the ciphertext is invalid.")
	}
	v := k.versionOf(head)
	if v == nil {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	}
	if err := v.usable(); err != nil {
		return nil, err
	}
	plaintext, err := v.open(head, body, aad)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed.")
	}
	return &kmspb.DecryptResponse{Plaintext: plaintext, PlaintextCrc32C: checksum(ctx, plaintext), UsedPrimary: v == k.primary(), ProtectionLevel: k.level}, nil
}

func checkSizes(k *key, plaintext, aad []byte) error {
	hsm := k.level == kmspb.ProtectionLevel_HSM && len(plaintext)+len(aad) > maxHSM
	if hsm || len(plaintext) > maxSoftware || len(aad) > maxSoftware {
		return status.Error(codes.InvalidArgument, "The plaintext or the additional authenticated data is too large.")
	}
	return nil
}

// verify compares a checksum, if the request has one, and reports whether it did. The lock must be held.
func (s *Server) verify(field string, data []byte, sum *wrapperspb.Int64Value) (seen bool, err error) {
	if sum == nil {
		return false, nil
	}
	if sum.GetValue() != int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))) {
		return false, status.Errorf(codes.InvalidArgument, "The checksum in field %s_crc32c did not match the data in field %s.", field, field)
	}
	return s.lost == 0, nil
}

// spend counts an answer of LoseChecksums. The lock must be held.
func (s *Server) spend() { s.lost = max(0, s.lost-1) }

func checksum(ctx context.Context, data []byte) *wrapperspb.Int64Value {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	if fault.FromContext(ctx).WrongCRC {
		sum ^= 1
	}
	return wrapperspb.Int64(int64(sum))
}

// A ciphertext is a message of two fields, as the service's own are: a head of 37 bytes, zero, the version's id and 32 random
// ones, and a body of the nonce and what is sealed.
const headSize = 1 + 4 + 32

func (v *version) seal(plaintext, aad []byte) []byte {
	head := make([]byte, headSize)
	_, _ = rand.Read(head)
	head[0] = 0
	copy(head[1:], v.id[:])
	body := make([]byte, v.aead.NonceSize())
	_, _ = rand.Read(body)
	body = v.aead.Seal(body, body, plaintext, append(head[:headSize:headSize], aad...))
	out := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), head)
	return protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), body)
}

func (v *version) open(head, body, aad []byte) ([]byte, error) {
	n := min(v.aead.NonceSize(), len(body))
	return v.aead.Open(nil, body[:n], body[n:], append(head[:headSize:headSize], aad...))
}

// parse takes a ciphertext apart.
func parse(c []byte) (head, body []byte, ok bool) {
	var fields [2][]byte
	for i := range fields {
		number, kind, n := protowire.ConsumeTag(c)
		if n < 0 || int(number) != i+1 || kind != protowire.BytesType {
			return nil, nil, false
		}
		value, m := protowire.ConsumeBytes(c[n:])
		if m < 0 {
			return nil, nil, false
		}
		fields[i], c = value, c[n+m:]
	}
	return fields[0], fields[1], len(c) == 0 && len(fields[0]) == headSize && len(fields[1]) > 12
}

func (k *key) versionOf(head []byte) *version {
	for _, v := range k.versions {
		if string(v.id[:]) == string(head[1:1+len(v.id)]) {
			return v
		}
	}
	return nil
}
