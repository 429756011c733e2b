//go:build e2e && unix

package awskms_test

import (
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	for name, settings := range map[string][]byte{
		"on local-kms":                        local.Settings(t, set{"key": local.NewKey(t, "SYMMETRIC_DEFAULT")}),
		"with a context of its own":           local.Settings(t, set{"key": local.NewKey(t, "SYMMETRIC_DEFAULT"), "context": set{"app": "gateway"}}),
		"with an RSA key":                     local.Settings(t, set{"key": local.NewKey(t, "RSA_2048"), "algorithm": "RSAES_OAEP_SHA_256"}),
		"on moto under enforced permissions":  enforced.Settings(t, set{"key": motoKey(t, "SYMMETRIC_DEFAULT")}),
		"with an RSA key on moto":             enforced.Settings(t, set{"key": motoKey(t, "RSA_3072"), "algorithm": "RSAES_OAEP_SHA_1"}),
		"on moto, where no key is configured": enforced.Settings(t, nil),
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlugin(t)
			st := open(t, p, settings)
			if name == "on moto, where no key is configured" {
				r, err := st.Check(t.Context())
				if err != nil || r.Identity == "" || len(r.Notes) > 0 {
					t.Errorf("check: %+v (%v), want an identity and no note", r, err)
				}
				return
			}
			conformance.Run(t, "aws-kms", &sdktest.Target{Plugin: p, Settings: settings, Store: st, Scratch: "kwtest/",
				SettingsAt: func(address string) []byte { return at(t, settings, address) }})
		})
	}
}

func TestKeyStatesHaveTheirCodes(t *testing.T) {
	p := startPlugin(t)
	key := local.NewKey(t, "SYMMETRIC_DEFAULT")
	st := open(t, p, local.Settings(t, set{"key": key}))
	ciphertext := ciphertextOf(t, st, "canary", nil)
	calls := func(what string, want sdk.Code) {
		t.Helper()
		_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("x")})
		wantCode(t, "encrypt with a key that is "+what, err, want)
		if r, err := st.Check(t.Context()); err != nil || want != sdk.OK && len(r.Notes) == 0 {
			t.Errorf("check of a store whose key is %s: %+v (%v), want a note", what, r, err)
		}
	}
	local.Disable(t, key)
	calls("disabled", sdk.FailedPrecondition)
	local.Enable(t, key)
	wantPlaintext(t, st, sdk.DecryptRequest{Ciphertext: ciphertext}, "canary")
	local.ScheduleDeletion(t, key)
	calls("pending deletion", sdk.FailedPrecondition)
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: "alias/nobody", Plaintext: sdk.SensitiveString("x")})
	wantCode(t, "encrypt with an alias of no key", err, sdk.NotFound)
}

func TestAsymmetricCiphertextNeedsItsKey(t *testing.T) {
	p := startPlugin(t)
	key := local.NewKey(t, "RSA_4096")
	st := open(t, p, local.Settings(t, set{"algorithm": "RSAES_OAEP_SHA_256"}))
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: key, Plaintext: sdk.SensitiveString("canary")})
	if err != nil {
		t.Fatal(err)
	}
	wantPlaintext(t, st, sdk.DecryptRequest{Key: key, Ciphertext: r.Ciphertext}, "canary")
	_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext})
	wantCode(t, "decrypt without a key", err, sdk.InvalidArgument)
}

func TestAKeyThatIsNamedIsTheOnlyOneThatDecrypts(t *testing.T) {
	p := startPlugin(t)
	one, other := local.NewKey(t, "SYMMETRIC_DEFAULT"), local.NewKey(t, "SYMMETRIC_DEFAULT")
	ciphertext := ciphertextOf(t, open(t, p, local.Settings(t, set{"key": one})), "canary", nil)
	wantPlaintext(t, open(t, p, local.Settings(t, nil)), sdk.DecryptRequest{Ciphertext: ciphertext}, "canary")
	_, err := open(t, p, local.Settings(t, set{"key": other})).Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: ciphertext})
	wantCode(t, "decrypt with another key than its own", err, sdk.InvalidArgument)
}

func TestLimitsAreThoseOfTheService(t *testing.T) {
	p := startPlugin(t)
	st := open(t, p, local.Settings(t, set{"key": local.NewKey(t, "SYMMETRIC_DEFAULT")}))
	most := make([]byte, 4096)
	for i := range most {
		most[i] = byte(i) // bytes of every kind
	}
	wantPlaintext(t, st, sdk.DecryptRequest{Ciphertext: ciphertextOf(t, st, string(most), nil)}, string(most))
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(append(most, 'x'))})
	wantCode(t, "encrypt of 4097 bytes", err, sdk.InvalidArgument)
}
