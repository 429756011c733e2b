package main

import (
	"bytes"
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
)

func TestDecryptAnswersWhatEncryptWasGivenAndTakesTheVersionItNamed(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	for _, plaintext := range []string{"x", "a value", "\x00\xff\xfe", strings.Repeat("a", maxData)} {
		for _, aad := range []string{"", "context", strings.Repeat("b", maxData)} {
			r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString(plaintext), AAD: []byte(aad)})
			if err != nil {
				t.Fatalf("encrypt %d bytes with %d of additional data: %v", len(plaintext), len(aad), err)
			}
			if r.Key != testKey+"/cryptoKeyVersions/1" {
				t.Errorf("encrypt answered the key %q, want the version", r.Key)
			}
			d, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Key: r.Key, Ciphertext: r.Ciphertext, AAD: []byte(aad)})
			if err != nil {
				t.Fatalf("decrypt: %v", err)
			}
			if !d.Plaintext.Equal(sdk.SensitiveString(plaintext)) || d.Key != testKey {
				t.Errorf("decrypt answered %d bytes and the key %q, want %d and %q", d.Plaintext.Len(), d.Key, len(plaintext), testKey)
			}
		}
	}
	srv.AddVersion(testKey)
	r := encrypt(t, st, "old")
	srv.AddVersion(testKey)
	if d, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext}); err != nil || !d.Plaintext.Equal(sdk.SensitiveString("old")) {
		t.Errorf("decrypt after a rotation: %v", err)
	}
}

func TestTheKeyIsThatOfTheCallOrElseOfTheSettings(t *testing.T) {
	srv, address := newServer(t)
	other := strings.Replace(testKey, "gateway", "other", 1)
	srv.CreateKey(other, kmspb.ProtectionLevel_SOFTWARE)
	srv.AddVersion(testKey)
	first := testKey + "/cryptoKeyVersions/1"
	for _, c := range []struct{ settings, call, want string }{
		{testKey, "", testKey + "/cryptoKeyVersions/2"},
		{testKey, other, other + "/cryptoKeyVersions/1"},
		{testKey, first, first},
		{first, "", first},
	} {
		st := openStore(t, address, map[string]any{"key": c.settings})
		r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: c.call, Plaintext: sdk.SensitiveString("x")})
		if err != nil || r.Key != c.want {
			t.Errorf("encrypt with %q of the settings and %q of the call: key %q (%v), want %q", c.settings, c.call, r.Key, err, c.want)
		}
		if _, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Key: c.call, Ciphertext: r.Ciphertext}); err != nil {
			t.Errorf("decrypt with %q of the settings and %q of the call: %v", c.settings, c.call, err)
		}
	}
}

func TestWhatCloudKMSCannotHoldIsRefusedBeforeAnyCall(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	long := make([]byte, maxData+1)
	for what, call := range map[string]func() error{
		"a plaintext over 64 KiB": func() error {
			_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(long)})
			return err
		},
		"additional data over 64 KiB": func() error {
			_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("x"), AAD: long})
			return err
		},
		"decrypt with additional data over 64 KiB": func() error {
			_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("x"), AAD: long})
			return err
		},
		"the name of a ring": func() error {
			_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Key: "projects/p/locations/global/keyRings/r", Ciphertext: []byte("x")})
			return err
		},
		"a name with a slash too many": func() error {
			_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: testKey + "/", Plaintext: sdk.SensitiveString("x")})
			return err
		},
	} {
		wantCode(t, what, call(), sdk.InvalidArgument)
	}
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls reached the service, want none", n)
	}
}

func TestAnHSMKeySaysThatItTakesLess(t *testing.T) {
	srv, address := newServer(t)
	srv.CreateKey(testKey, kmspb.ProtectionLevel_HSM)
	st := openStore(t, address, nil)
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(make([]byte, 8<<10)), AAD: []byte("x")})
	wantCode(t, "9 KiB in an HSM", err, sdk.InvalidArgument)
	if !strings.Contains(err.Error(), "8 KiB") {
		t.Errorf("the error does not tell the limit: %v", err)
	}
}

func TestAChecksumThatDoesNotHoldIsDataLoss(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r := encrypt(t, st, "value")

	srv.Faults.Next(attempts, fault.Fault{WrongCRC: true})
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
	wantCode(t, "encrypt whose ciphertext was damaged", err, sdk.DataLoss)
	srv.Faults.Next(attempts, fault.Fault{WrongCRC: true})
	_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext})
	wantCode(t, "decrypt whose plaintext was damaged", err, sdk.DataLoss)
	srv.LoseChecksums(attempts)
	_, err = st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
	wantCode(t, "encrypt whose plaintext the service did not verify", err, sdk.DataLoss)

	before := len(srv.Calls())
	srv.Faults.Next(1, fault.Fault{WrongCRC: true})
	if _, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext}); err != nil {
		t.Errorf("decrypt whose first answer was damaged: %v", err)
	}
	srv.LoseChecksums(2)
	if _, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value"), AAD: []byte("x")}); err != nil {
		t.Errorf("encrypt whose first two requests were not verified: %v", err)
	}
	if n := len(srv.Calls()) - before; n != 5 {
		t.Errorf("%d calls, want two to decrypt and three to encrypt", n)
	}
}

// An answer is input. These are what the service never answers.
func TestAnAnswerThatIsNotOneIsAnError(t *testing.T) {
	k, _ := parseKey(testKey)
	good := func() *kmspb.EncryptResponse {
		return &kmspb.EncryptResponse{Name: testKey + "/cryptoKeyVersions/1", Ciphertext: []byte("c"), CiphertextCrc32C: checksum([]byte("c")),
			VerifiedPlaintextCrc32C: true, VerifiedAdditionalAuthenticatedDataCrc32C: true}
	}
	request := &kmspb.EncryptRequest{AdditionalAuthenticatedDataCrc32C: checksum([]byte("aad"))}
	if err := checkEncrypted(k, request, good()); err != nil {
		t.Fatalf("a good answer: %v", err)
	}
	for what, c := range map[string]struct {
		change func(a *kmspb.EncryptResponse)
		want   sdk.Code
	}{
		"no ciphertext":           {func(a *kmspb.EncryptResponse) { a.Ciphertext = nil }, sdk.Internal},
		"no checksum":             {func(a *kmspb.EncryptResponse) { a.CiphertextCrc32C = nil }, sdk.DataLoss},
		"a negative checksum":     {func(a *kmspb.EncryptResponse) { a.CiphertextCrc32C.Value = -1 }, sdk.DataLoss},
		"plaintext not verified":  {func(a *kmspb.EncryptResponse) { a.VerifiedPlaintextCrc32C = false }, sdk.DataLoss},
		"additional data not":     {func(a *kmspb.EncryptResponse) { a.VerifiedAdditionalAuthenticatedDataCrc32C = false }, sdk.DataLoss},
		"no key":                  {func(a *kmspb.EncryptResponse) { a.Name = "" }, sdk.Internal},
		"a key without a version": {func(a *kmspb.EncryptResponse) { a.Name = testKey }, sdk.Internal},
		"another key of the ring": {func(a *kmspb.EncryptResponse) { a.Name = strings.Replace(a.Name, "gateway", "other", 1) }, sdk.Internal},
		"another location":        {func(a *kmspb.EncryptResponse) { a.Name = strings.Replace(a.Name, "europe-west1", "us-east1", 1) }, sdk.Internal},
		"a name that is no key's": {func(a *kmspb.EncryptResponse) { a.Name = "version 1" }, sdk.Internal},
	} {
		a := good()
		c.change(a)
		wantCode(t, what, checkEncrypted(k, request, a), c.want)
	}
	numbered := good()
	numbered.Name = strings.Replace(numbered.Name, "projects/acme", "projects/892942638129", 1)
	if err := checkEncrypted(k, request, numbered); err != nil {
		t.Errorf("an answer with the project's number in place of its id: %v", err)
	}
	second, _ := parseKey(testKey + "/cryptoKeyVersions/2")
	wantCode(t, "another version than the one asked for", checkEncrypted(second, request, good()), sdk.Internal)
}

func TestACiphertextThatHoldsNothingIsNoSecret(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	a, err := srv.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: testKey})
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: a.GetCiphertext()})
	wantCode(t, "decrypt of nothing", err, sdk.FailedPrecondition)
}

func TestWhatDoesNotBelongToTheCiphertextIsInvalid(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value"), AAD: []byte("context")})
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(testKey, "gateway", "other", 1)
	srv.CreateKey(other, kmspb.ProtectionLevel_SOFTWARE)
	for what, d := range map[string]sdk.DecryptRequest{
		"no additional data":    {Ciphertext: r.Ciphertext},
		"other additional data": {Ciphertext: r.Ciphertext, AAD: []byte("contexT")},
		"another key":           {Key: other, Ciphertext: r.Ciphertext, AAD: []byte("context")},
		"a part":                {Ciphertext: r.Ciphertext[:20], AAD: []byte("context")},
		"something else":        {Ciphertext: []byte("no ciphertext"), AAD: []byte("context")},
	} {
		_, err := st.Decrypt(t.Context(), d)
		wantCode(t, what, err, sdk.InvalidArgument)
	}
	for i := range r.Ciphertext {
		c := bytes.Clone(r.Ciphertext)
		c[i] ^= 1
		_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: c, AAD: []byte("context")})
		wantCode(t, "a ciphertext with one bit changed", err, sdk.InvalidArgument)
	}
}

func TestAVersionThatIsNotEnabledIsFailedPrecondition(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r := encrypt(t, st, "value")
	for _, state := range []kmspb.CryptoKeyVersion_CryptoKeyVersionState{
		kmspb.CryptoKeyVersion_DISABLED, kmspb.CryptoKeyVersion_DESTROY_SCHEDULED, kmspb.CryptoKeyVersion_DESTROYED,
		kmspb.CryptoKeyVersion_PENDING_GENERATION, kmspb.CryptoKeyVersion_IMPORT_FAILED,
	} {
		srv.SetState(r.Key, state)
		_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext})
		wantCode(t, "decrypt, "+state.String(), err, sdk.FailedPrecondition)
		if !strings.Contains(err.Error(), state.String()) {
			t.Errorf("the error does not tell the state %s: %v", state, err)
		}
		_, err = st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
		wantCode(t, "encrypt, "+state.String(), err, sdk.FailedPrecondition)
	}
	srv.SetState(r.Key, kmspb.CryptoKeyVersion_ENABLED)
	if _, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext}); err != nil {
		t.Errorf("decrypt, enabled again: %v", err)
	}
}

func TestWhoMayOnlyDecryptIsToldWhatIsMissing(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	srv.Deny(gcpkms.UseToEncrypt, testKey)
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
	wantCode(t, "encrypt", err, sdk.PermissionDenied)
	if e := asError(err); !strings.Contains(e.Message, gcpkms.UseToEncrypt) || !strings.Contains(e.Message, testKey) || e.Reason != "IAM_PERMISSION_DENIED" {
		t.Errorf("the error tells neither permission, key nor reason: %v (%s)", err, e.Reason)
	}
}
