package dial

import (
	"context"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

// Put writes one secret.
func (s *Store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if err := wire.AllowPut(s.can, r); err != nil {
		return sdk.PutResult{}, err
	}
	out, err := invoke(ctx, "put", s.client.Put, wire.EncodePut(s.handle, r))
	if err != nil {
		return sdk.PutResult{}, err
	}
	result := wire.DecodePutResult(out)
	if err := wire.CheckPutResult(r.Name, result); err != nil {
		return sdk.PutResult{}, err
	}
	return result, nil
}

// Delete removes one secret.
func (s *Store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	if err := wire.AllowDelete(s.can, r); err != nil {
		return sdk.DeleteResult{}, err
	}
	out, err := invoke(ctx, "delete", s.client.Delete, wire.EncodeDelete(s.handle, r))
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	result := wire.DecodeDeleteResult(out)
	if err := wire.CheckDeleteResult(r.Name, result); err != nil {
		return sdk.DeleteResult{}, err
	}
	return result, nil
}

// Restore brings a recoverably deleted secret back.
func (s *Store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	if err := wire.AllowRestore(s.can, r); err != nil {
		return err
	}
	_, err := invoke(ctx, "restore", s.client.Restore, wire.EncodeRestore(s.handle, r))
	return err
}

// Encrypt encrypts with a key that stays in the backend.
func (s *Store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	if err := wire.AllowEncrypt(s.can, r); err != nil {
		return sdk.EncryptResult{}, err
	}
	out, err := invoke(ctx, "encrypt", s.client.Encrypt, wire.EncodeEncrypt(s.handle, r))
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	result := wire.DecodeEncryptResult(out)
	if err := wire.CheckEncryptResult(result, sdk.DataLoss); err != nil {
		return sdk.EncryptResult{}, err
	}
	return result, nil
}

// Decrypt undoes Encrypt.
func (s *Store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	if err := wire.AllowDecrypt(s.can, r); err != nil {
		return sdk.DecryptResult{}, err
	}
	out, err := invoke(ctx, "decrypt", s.client.Decrypt, wire.EncodeDecrypt(s.handle, r))
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	result := wire.DecodeDecryptResult(out)
	if err := wire.CheckDecryptResult(result, sdk.DataLoss); err != nil {
		return sdk.DecryptResult{}, err
	}
	return result, nil
}
