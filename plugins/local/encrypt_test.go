package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func encrypted(t *testing.T, s *store, key, plaintext, aad string) sdk.EncryptResult {
	t.Helper()
	out, err := s.Encrypt(t.Context(), sdk.EncryptRequest{Key: key, Plaintext: sdk.SensitiveString(plaintext), AAD: []byte(aad)})
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	return out
}

func TestDecryptTakesWhatEncryptAnswered(t *testing.T) {
	path := storePath(t)
	billing := map[string]any{"data_keys": []string{"billing"}}
	s := openStore(t, path, billing)
	for _, key := range []string{"", "billing", s.keys.String()} {
		out := encrypted(t, s, key, "text", "for you")
		for _, k := range []string{key, out.Key} {
			got, err := openStore(t, path, billing).Decrypt(t.Context(), sdk.DecryptRequest{Key: k, Ciphertext: out.Ciphertext, AAD: []byte("for you")})
			if err != nil || string(got.Plaintext.Reveal()) != "text" || got.Key != out.Key {
				t.Errorf("Decrypt with key %q of what key %q made: %+v, %v", k, key, got, err)
			}
		}
	}
	if content(t, path) != "absent" {
		t.Error("encrypting wrote the file")
	}
}

func TestNothingElseDecrypts(t *testing.T) {
	names := map[string]any{"data_keys": []string{"billing", "Billing"}}
	s := openStore(t, storePath(t), names)
	good := encrypted(t, s, "billing", "text", "aad").Ciphertext
	if bytes.Equal(good, encrypted(t, s, "billing", "text", "aad").Ciphertext) {
		t.Error("the same text twice gives the same ciphertext")
	}
	for what, r := range map[string]sdk.DecryptRequest{
		"the settings' key": {Ciphertext: good, AAD: []byte("aad")},
		"another key":       {Key: "Billing", Ciphertext: good, AAD: []byte("aad")},
		"other aad":         {Key: "billing", Ciphertext: good, AAD: []byte("aae")},
		"no aad":            {Key: "billing", Ciphertext: good},
		"nothing":           {Key: "billing"},
		"noise":             {Key: "billing", Ciphertext: bytes.Repeat([]byte{7}, 100), AAD: []byte("aad")},
		"a store file":      {Key: "billing", Ciphertext: append(s.keys.header(), good...), AAD: []byte("aad")},
	} {
		_, err := s.Decrypt(t.Context(), r)
		wantCode(t, err, sdk.InvalidArgument, what)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		_, err := s.Decrypt(t.Context(), sdk.DecryptRequest{Key: "billing", Ciphertext: bad, AAD: []byte("aad")})
		wantCode(t, err, sdk.InvalidArgument, "a flipped bit")
	}
	other := openStore(t, storePath(t), map[string]any{"key": keyText("another key"), "data_keys": names["data_keys"]})
	_, err := other.Decrypt(t.Context(), sdk.DecryptRequest{Key: "billing", Ciphertext: good, AAD: []byte("aad")})
	wantCode(t, err, sdk.InvalidArgument, "the same name under another settings' key")
}

func TestPlaintextsWhoseCiphertextWouldNotFitAreRefused(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	if n := len(encrypted(t, s, "", strings.Repeat("x", maxPlaintext), "").Ciphertext); n != sdk.MaxValue {
		t.Errorf("the longest ciphertext has %d bytes, want %d", n, sdk.MaxValue)
	}
	for _, size := range []int{0, maxPlaintext + 1} {
		_, err := s.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(make([]byte, size))})
		wantCode(t, err, sdk.InvalidArgument, "Encrypt of an unfit size")
	}
}

func TestAKeyThatNobodyNamedIsRefused(t *testing.T) {
	s := openStore(t, storePath(t), map[string]any{"data_keys": []string{"billing"}})
	_, err := s.Encrypt(t.Context(), sdk.EncryptRequest{Key: "biling", Plaintext: sdk.SensitiveString("text")})
	wantCode(t, err, sdk.NotFound, "Encrypt with a key name that has a slip")
	_, err = s.Decrypt(t.Context(), sdk.DecryptRequest{Key: "biling", Ciphertext: encrypted(t, s, "billing", "text", "").Ciphertext})
	wantCode(t, err, sdk.NotFound, "Decrypt with a key name that has a slip")
}
