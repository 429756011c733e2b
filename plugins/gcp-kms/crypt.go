package main

import (
	"context"
	"hash/crc32"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyway-dev/keyway/sdk"
)

// maxData is the most that a call takes of a plaintext, and of additional data, in bytes. A key of the protection level HSM
// takes 8 KiB of both together, which only the service knows.
// https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1#encryptrequest
const maxData = 64 << 10

// Encrypt uses the primary version of the key, or the version that the name has, and answers the name of the version.
func (st *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	k, err := st.keyOf("encrypt", r.Key)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	plaintext := r.Plaintext.Reveal()
	if len(plaintext) > maxData || len(r.AAD) > maxData {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.InvalidArgument, "encrypt %q: %d bytes and %d of additional data; Cloud KMS takes %d of each",
			k.full(), len(plaintext), len(r.AAD), maxData)
	}
	request := &kmspb.EncryptRequest{
		Name: k.full(), Plaintext: plaintext, PlaintextCrc32C: checksum(plaintext),
		AdditionalAuthenticatedData: r.AAD, AdditionalAuthenticatedDataCrc32C: checksum(r.AAD),
	}
	var out sdk.EncryptResult
	err = st.call(ctx, "encrypt", k.full(), func() error {
		a, err := st.client.Encrypt(ctx, request)
		if err != nil {
			return err
		}
		out = sdk.EncryptResult{Ciphertext: a.GetCiphertext(), Key: a.GetName()}
		return checkEncrypted(k, request, a)
	})
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	return out, nil
}

// checkEncrypted finds out what went wrong on the way there and back. A plaintext that the service did not verify may have
// been damaged before it was encrypted.
// https://cloud.google.com/kms/docs/data-integrity-guidelines
func checkEncrypted(k key, r *kmspb.EncryptRequest, a *kmspb.EncryptResponse) error {
	switch {
	case len(a.GetCiphertext()) == 0:
		return sdk.Errorf(sdk.Internal, "the answer holds no ciphertext")
	case !a.GetVerifiedPlaintextCrc32C():
		return sdk.Errorf(sdk.DataLoss, "Cloud KMS did not verify the plaintext's checksum")
	case r.GetAdditionalAuthenticatedDataCrc32C() != nil && !a.GetVerifiedAdditionalAuthenticatedDataCrc32C():
		return sdk.Errorf(sdk.DataLoss, "Cloud KMS did not verify the checksum of the additional data")
	case !matches(a.GetCiphertext(), a.GetCiphertextCrc32C()):
		return sdk.Errorf(sdk.DataLoss, "the ciphertext that came back does not match its checksum")
	case !k.answers(a.GetName()):
		return sdk.Errorf(sdk.Internal, "the answer is of another key, %q", a.GetName())
	}
	return nil
}

// Decrypt takes a key with or without a version: the ciphertext tells it. It answers the key alone, since the service does
// not say which version it was.
func (st *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	k, err := st.keyOf("decrypt", r.Key)
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	if len(r.AAD) > maxData {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt %q: %d bytes of additional data; Cloud KMS takes %d", k.name, len(r.AAD), maxData)
	}
	request := &kmspb.DecryptRequest{
		Name: k.name, Ciphertext: r.Ciphertext, CiphertextCrc32C: checksum(r.Ciphertext),
		AdditionalAuthenticatedData: r.AAD, AdditionalAuthenticatedDataCrc32C: checksum(r.AAD),
	}
	var plaintext []byte
	err = st.call(ctx, "decrypt", k.name, func() error {
		a, err := st.client.Decrypt(ctx, request)
		if err != nil {
			return err
		}
		if !matches(a.GetPlaintext(), a.GetPlaintextCrc32C()) {
			return sdk.Errorf(sdk.DataLoss, "the plaintext that came back does not match its checksum")
		}
		plaintext = a.GetPlaintext()
		return nil
	})
	switch {
	case err != nil:
		return sdk.DecryptResult{}, err
	case len(plaintext) == 0:
		return sdk.DecryptResult{}, sdk.Errorf(sdk.FailedPrecondition, "decrypt %q: the ciphertext holds nothing", k.name)
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(plaintext), Key: k.name}, nil
}

// checksum is sent with data, so that the service notices what was damaged on the way. Of nothing there is none.
func checksum(data []byte) *wrapperspb.Int64Value {
	if len(data) == 0 {
		return nil
	}
	return wrapperspb.Int64(int64(castagnoli(data)))
}

// matches reports whether data is what the service summed up. An answer without a checksum does not.
func matches(data []byte, sum *wrapperspb.Int64Value) bool {
	return sum != nil && sum.GetValue() == int64(castagnoli(data))
}

func castagnoli(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }
