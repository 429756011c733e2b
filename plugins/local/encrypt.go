package main

import (
	"bytes"
	"context"
	"slices"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/keyway-dev/keyway/sdk"
)

// A ciphertext is
//
//	format, 1 byte | key tag, 8 bytes | XChaCha20-Poly1305 (nonce, text, tag)
//
// with everything before the nonce, then the caller's additional data, as associated data. Keys are derived from the
// settings' key and a name when the store is opened, so nothing of them is stored and the store file plays no part.
const (
	keyTagSize   = 8                                               // bytes
	prefixSize   = 1 + keyTagSize                                  // bytes
	maxPlaintext = sdk.MaxValue - prefixSize - nonceSize - tagSize // bytes: the ciphertext is a value too
)

// dataKey is one key of Encrypt.
type dataKey struct {
	name   string // what Encrypt answers
	prefix []byte
	aead   tink.AEAD
}

func newDataKey(master sdk.Sensitive, name string) (dataKey, error) {
	tag, err := derive(master, "keyway local: tag of data key "+name, keyTagSize)
	if err != nil {
		return dataKey{}, err
	}
	aead, err := cipher(master, "keyway local: data key "+name)
	if err != nil {
		return dataKey{}, err
	}
	return dataKey{name: name, prefix: append([]byte{format}, tag.Reveal()...), aead: aead}, nil
}

// dataKey gives the key of a name. The settings' key goes by the empty name and by its id.
func (s *store) dataKey(ctx context.Context, name string) (dataKey, error) {
	if err := ctx.Err(); err != nil {
		return dataKey{}, err
	}
	k, ok := s.keys.data[name]
	if !ok {
		return dataKey{}, sdk.Errorf(sdk.NotFound, "no such key; the settings' data_keys name those there are")
	}
	return k, nil
}

// Encrypt answers a ciphertext and the name of its key: the one asked for, or the id of the settings' key.
func (s *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	if n := r.Plaintext.Len(); n == 0 || n > maxPlaintext {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.InvalidArgument, "encrypt: plaintext of %d bytes; it may have 1 to %d", n, maxPlaintext)
	}
	k, err := s.dataKey(ctx, r.Key)
	if err != nil {
		return sdk.EncryptResult{}, classify("encrypt", r.Key, err)
	}
	box, err := k.aead.Encrypt(r.Plaintext.Reveal(), slices.Concat(k.prefix, r.AAD))
	if err != nil {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.Internal, "encrypt: %w", err)
	}
	return sdk.EncryptResult{Ciphertext: slices.Concat(k.prefix, box), Key: k.name}, nil
}

// Decrypt undoes Encrypt. A ciphertext of another key, with other additional data, or changed, is InvalidArgument.
func (s *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	k, err := s.dataKey(ctx, r.Key)
	if err != nil {
		return sdk.DecryptResult{}, classify("decrypt", r.Key, err)
	}
	switch c := r.Ciphertext; {
	case len(c) < prefixSize+nonceSize+tagSize || c[0] != format:
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: %d bytes that are not a ciphertext of this provider", len(c))
	case !bytes.HasPrefix(c, k.prefix):
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: the ciphertext was made with another key than %q", k.name)
	}
	text, err := k.aead.Decrypt(r.Ciphertext[prefixSize:], slices.Concat(k.prefix, r.AAD))
	if err != nil {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: the ciphertext is damaged, or was made with other additional data")
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(text), Key: k.name}, nil
}
