package sdktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/keyway-dev/keyway/sdk"
)

func cryptChecks() []Check {
	const both = sdk.CanEncrypt | sdk.CanDecrypt
	return []Check{
		promise("crypt/round-trip", "Decrypt answers what Encrypt was given", both, cryptRoundTrip),
		promise("crypt/key", "Decrypt accepts the key that Encrypt answered", both, cryptKey),
		promise("crypt/hides", "a ciphertext does not hold its plaintext", sdk.CanEncrypt, cryptHides),
		promise("crypt/tampered", "a ciphertext that was changed is InvalidArgument or DataLoss", both, cryptTampered),
		promise("crypt/garbage", "what is no ciphertext is InvalidArgument", sdk.CanDecrypt, cryptGarbage),
		promise("crypt/unknown-key", "a key that does not exist is refused, and the settings' key does not stand in for it", sdk.CanEncrypt, cryptUnknownKey),
		promise("crypt/aad", "Decrypt takes the additional data that Encrypt was given", both|sdk.CanAAD, cryptAAD),
		promise("crypt/other-aad", "Decrypt with other additional data, or none, is InvalidArgument", both|sdk.CanAAD, cryptOtherAAD),
	}
}

// Additional data are a JSON object of strings, which every kind of backend takes.
var (
	aad      = []byte(`{"purpose":"kwtest"}`)
	otherAAD = []byte(`{"purpose":"another"}`)
)

func (t *Target) encrypt(ctx context.Context, aad []byte) (plain sdk.Sensitive, r sdk.EncryptResult, err error) {
	plain = sdk.SensitiveString(secretText())
	r, err = t.Store.Encrypt(ctx, sdk.EncryptRequest{Plaintext: plain, AAD: aad})
	return plain, r, in("encrypt", err)
}

func (t *Target) decrypts(ctx context.Context, r sdk.DecryptRequest, want sdk.Sensitive) error {
	got, err := t.Store.Decrypt(ctx, r)
	if err != nil {
		return in("decrypt", err)
	}
	if !got.Plaintext.Equal(want) {
		return fmt.Errorf("decrypt: another plaintext of %d bytes came back", got.Plaintext.Len())
	}
	return nil
}

func cryptRoundTrip(ctx context.Context, t *Target) error {
	plain, r, err := t.encrypt(ctx, nil)
	if err != nil {
		return err
	}
	return t.decrypts(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext}, plain)
}

func cryptKey(ctx context.Context, t *Target) error {
	plain, r, err := t.encrypt(ctx, nil)
	if err != nil {
		return err
	}
	if r.Key == "" {
		return nil // the backend does not name it
	}
	if err := t.decrypts(ctx, sdk.DecryptRequest{Key: r.Key, Ciphertext: r.Ciphertext}, plain); err != nil {
		return fmt.Errorf("with key %q, which Encrypt answered: %w", r.Key, err)
	}
	return nil
}

func cryptHides(ctx context.Context, t *Target) error {
	plain, r, err := t.encrypt(ctx, nil)
	if err != nil {
		return err
	}
	if bytes.Contains(r.Ciphertext, plain.Reveal()) {
		return errors.New("encrypt: the ciphertext holds the plaintext")
	}
	return nil
}

func cryptTampered(ctx context.Context, t *Target) error {
	_, r, err := t.encrypt(ctx, nil)
	if err != nil {
		return err
	}
	changed := bytes.Clone(r.Ciphertext)
	changed[len(changed)/2] ^= 1
	_, err = t.Store.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: changed})
	return refused("decrypt of a changed ciphertext", err, sdk.InvalidArgument, sdk.DataLoss)
}

func cryptGarbage(ctx context.Context, t *Target) error {
	for _, c := range []string{"x", "not a ciphertext, whatever the backend", string(make([]byte, 100))} {
		_, err := t.Store.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte(c)})
		if err := refused(fmt.Sprintf("decrypt of %d bytes that are no ciphertext", len(c)), err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}

func cryptUnknownKey(ctx context.Context, t *Target) error {
	_, err := t.Store.Encrypt(ctx, sdk.EncryptRequest{Key: "kw" + random(), Plaintext: sdk.SensitiveString(secretText())})
	return refused("encrypt with a key that does not exist", err, sdk.NotFound, sdk.InvalidArgument, sdk.PermissionDenied, sdk.FailedPrecondition)
}

func cryptAAD(ctx context.Context, t *Target) error {
	plain, r, err := t.encrypt(ctx, aad)
	if err != nil {
		return err
	}
	return t.decrypts(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext, AAD: aad}, plain)
}

func cryptOtherAAD(ctx context.Context, t *Target) error {
	_, r, err := t.encrypt(ctx, aad)
	if err != nil {
		return err
	}
	for what, data := range map[string][]byte{"other": otherAAD, "no": nil} {
		_, err := t.Store.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext, AAD: data})
		if err := refused("decrypt with "+what+" additional data", err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}
