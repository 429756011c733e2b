//go:build e2e && unix

package vault_test

import (
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestTransitEncryptsWithTheVersionThatIsAskedForAndDecryptsOldOnes(t *testing.T) {
	mount := srv.Transit(t, "orders")
	st := openStore(t, srv, set{"mount": "", "transit": mount, "transit_key": "orders", "auth": rootAuth(srv)})
	plain := sdk.SensitiveString("plain")
	old, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: plain})
	if err != nil || old.Key != "orders:1" {
		t.Fatalf("encrypt: key %q, %v; want orders:1", old.Key, err)
	}
	srv.Write(t, mount+"/keys/orders/rotate", nil)
	for key, want := range map[string]string{"": "orders:2", "orders": "orders:2", "orders:1": "orders:1"} {
		r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: key, Plaintext: plain})
		if err != nil || r.Key != want {
			t.Errorf("encrypt with %q: key %q, %v; want %s", key, r.Key, err, want)
		}
	}
	d, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: old.Ciphertext})
	if err != nil || !d.Plaintext.Equal(plain) || d.Key != "orders:1" {
		t.Errorf("decrypt after a rotation: key %q, %v; want the plaintext by orders:1", d.Key, err)
	}
	_, err = st.Encrypt(t.Context(), sdk.EncryptRequest{Key: "orders:9", Plaintext: plain})
	wantCode(t, "encrypt with a version that is not there", err, sdk.InvalidArgument)
	srv.Write(t, mount+"/keys/orders/config", set{"min_decryption_version": 2})
	_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: old.Ciphertext})
	wantCode(t, "decrypt with a version that is no longer allowed", err, sdk.InvalidArgument)
}

func TestADerivedKeyTakesAADAsItsContext(t *testing.T) {
	mount := srv.Transit(t, "plain")
	srv.Write(t, mount+"/keys/derived", set{"type": "aes256-gcm96", "derived": true})
	st := openStore(t, srv, set{"mount": "", "transit": mount, "transit_key": "derived", "transit_context": true, "auth": rootAuth(srv)})
	plain := sdk.SensitiveString("plain")
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: plain, AAD: []byte("tenant a")})
	if err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	d, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext, AAD: []byte("tenant a")})
	if err != nil || !d.Plaintext.Equal(plain) {
		t.Errorf("decrypt with the same context: %v", err)
	}
	for what, aad := range map[string]string{"another context": "tenant b", "no context": ""} {
		_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext, AAD: []byte(aad)})
		wantCode(t, "decrypt with "+what, err, sdk.InvalidArgument)
	}
}
