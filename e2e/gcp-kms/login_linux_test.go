//go:build e2e && linux

package gcpkms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
)

// The program decrypts a variable with each login, at Google's own address, with the plugin confined as in production.
func TestTheProgramDecryptsWithEveryLogin(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	srv := furnish(t)
	srv.CreateKey(gatewayKey, kmspb.ProtectionLevel_SOFTWARE)
	private, file := serviceAccount(t)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	srv.Accept(func(token string) bool {
		return token == machineToken || token == "made-elsewhere" || signedBy(&private.PublicKey, token)
	})
	env := []string{"OPENAI_API_KEY=" + ciphertextOf(t, srv, gatewayKey, "sk-canary"), "GCP_KEY=" + string(content), "GCP_TOKEN=made-elsewhere", "EXPIRED=expired"}
	for name, auth := range map[string]string{
		"the file of a key":      "{key_file: {path: " + file + "}}",
		"a key by reference":     "{key: {json: secret://env/GCP_KEY}}",
		"a token":                "{token: {access_token: secret://env/GCP_TOKEN}}",
		"the machine's identity": "{adc: {}}",
		"the file of ADC":        "{adc: {file: " + file + "}}",
	} {
		out, err := world.Keyway(t, "keyway.yaml", configOf(auth), env, "get", "secret://kms/OPENAI_API_KEY")
		if err != nil || strings.TrimSpace(out) != "sk-canary" {
			t.Errorf("%s: %v, and %d bytes that are not the plaintext alone: %q", name, err, len(out), strings.ReplaceAll(out, "sk-canary", "…"))
		}
	}
	out, err := world.Keyway(t, "keyway.yaml", configOf("{token: {access_token: secret://env/EXPIRED}}"), env, "get", "secret://kms/OPENAI_API_KEY")
	if err == nil || !strings.Contains(out, "unauthenticated") || strings.Contains(out, "canary") {
		t.Errorf("a token that ended: %v, %q; want unauthenticated", err, out)
	}
	srv.Deny(gcpkms.UseToDecrypt, gatewayKey)
	out, err = world.Keyway(t, "keyway.yaml", configOf("{key_file: {path: "+file+"}}"), env, "get", "secret://kms/OPENAI_API_KEY")
	if err == nil || !strings.Contains(out, gcpkms.UseToDecrypt) {
		t.Errorf("without permission: %v, %q; want the permission's name", err, out)
	}
}

// What the provider's page shows is tried here, where Google's address leads to the fake.
func TestTheCommandsOfThePageDoWhatItShows(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	page, err := doctest.Read("../../docs/providers/gcp-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	const key = "projects/acme/locations/europe-west1/keyRings/prod/cryptoKeys/gateway"
	srv := furnish(t)
	srv.CreateKey(key, kmspb.ProtectionLevel_SOFTWARE)
	srv.Accept(func(token string) bool { return token == machineToken })
	bench := world.Bench(t)
	env := []string{"OPENAI_API_KEY=" + ciphertextOf(t, srv, key, "sk-demo-4f1c9a")}
	bench.Run(t, bench.Folder(t), page, env, func(b doctest.Block) bool { return b.Info == "console e2e" })
}

func configOf(auth string) string {
	return fmt.Sprintf(`version: 1
stores:
  kms:
    provider: gcp-kms
    settings: {key: %s, auth: %s}
    ciphertext_from: env
sources: {env: ["*"]}
`, gatewayKey, auth)
}

func ciphertextOf(t *testing.T, srv *gcpkms.Server, key, plaintext string) string {
	t.Helper()
	a, err := srv.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: []byte(plaintext)})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(a.GetCiphertext())
}

// serviceAccount makes a key file as Google gives them out.
func serviceAccount(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(set{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_id": "1",
		"client_email": "gateway@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return private, file
}

// signedBy reports whether a token is one that the owner of a key has signed: clients of a service account ask nobody for one.
// https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth
func signedBy(public *rsa.PublicKey, token string) bool {
	i := strings.LastIndex(token, ".")
	if i < 0 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	sum := sha256.Sum256([]byte(token[:i]))
	return err == nil && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
}
