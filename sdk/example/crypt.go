package example

import (
	"context"
	"crypto/cipher"

	"github.com/keyway-dev/keyway/sdk"
)

// overhead is what a ciphertext has more than its plaintext: a nonce of 12 bytes in front, a tag of 16 behind.
const overhead = 12 + 16 // bytes

// Encrypt encrypts with AES-256-GCM. The key never leaves the backend.
func (st *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	aead, key, err := st.key(ctx, "encrypt", r.Key)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	if n := r.Plaintext.Len(); n > sdk.MaxValue-overhead {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.InvalidArgument, "encrypt %q: plaintext of %d bytes is over the limit of %d", key, n, sdk.MaxValue-overhead)
	}
	return sdk.EncryptResult{Ciphertext: aead.Seal(nil, nil, r.Plaintext.Reveal(), r.AAD), Key: key}, nil
}

// Decrypt undoes Encrypt. A tag that does not match tells nothing of why: ciphertext, key and additional data look alike.
func (st *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	aead, key, err := st.key(ctx, "decrypt", r.Key)
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	plain, err := aead.Open(nil, nil, r.Ciphertext, r.AAD)
	if err != nil {
		return sdk.DecryptResult{}, classify("decrypt", key, errCiphertext)
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(plain), Key: key}, nil
}

// key finds the key that a request means; empty means the settings'. The name it answers is one that both calls take.
func (st *store) key(ctx context.Context, op, name string) (cipher.AEAD, string, error) {
	if name == "" {
		name = st.settings.Key
	}
	if err := st.request(ctx, op, name, name); err != nil { // the prefix is for secrets
		return nil, "", classify(op, name, err)
	}
	if name != st.settings.Key {
		return nil, "", classify(op, name, errNoKey)
	}
	aead, err := st.data.key(name)
	return aead, name, classify(op, name, err)
}
