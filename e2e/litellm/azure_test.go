//go:build e2e && linux

package litellm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/azurekv"
)

// keyVault is the configuration of https://docs.litellm.ai/docs/secret_managers/azure_key_vault
const keyVault = `model_list:
    - model_name: "my-azure-models"
      litellm_params:
            model: "azure/gpt-5"
            api_key: "os.environ/AZURE-API-KEY"
            api_base: "os.environ/AZURE-API-BASE"

general_settings:
  key_management_system: "azure_key_vault"
`

const (
	vaultHost = "kv-prod.vault.azure.net"
	entraHost = "login.microsoftonline.com"
)

func TestKeyVault(t *testing.T) {
	if !world.Inside(t, plugins+"azure-kv") {
		return
	}
	w := world.Furnish(t, map[string]string{vaultHost: "127.0.0.20", entraHost: "127.0.0.21"})
	s := azurekv.New()
	s.Authority("https://" + entraHost)
	s.TrustAssertion("token-of-kubernetes")
	w.Serve(t, vaultHost, "443", s.Handler().ServeHTTP)
	w.Serve(t, entraHost, "443", s.Handler().ServeHTTP)
	keyway := runs(world.Keyway)
	secret := []string{"AZURE_CLIENT_ID=" + azurekv.ClientID, "AZURE_CLIENT_SECRET=" + azurekv.Secret, "AZURE_TENANT_ID=" + azurekv.Tenant,
		"AZURE_KEY_VAULT_URI=https://" + vaultHost}
	keyway.wantRefusal(t, keyVault, secret, "not found", "AZURE-API-KEY", "AZURE-API-BASE")

	values := map[string]string{"AZURE-API-KEY": "canary-key", "AZURE-API-BASE": "https://canary.openai.azure.com"}
	for name, value := range values {
		s.Set(name, value)
	}
	keyway.wantStart(t, keyVault, secret, values, "AZURE_CLIENT_SECRET")

	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token-of-kubernetes"), 0o600); err != nil {
		t.Fatal(err)
	}
	keyway.wantStart(t, keyVault, []string{"AZURE_CLIENT_ID=" + azurekv.ClientID, "AZURE_TENANT_ID=" + azurekv.Tenant,
		"AZURE_FEDERATED_TOKEN_FILE=" + token, "AZURE_KEY_VAULT_URI=https://" + vaultHost, "AZURE_CREDENTIAL=WorkloadIdentityCredential"}, values)
	keyway.wantRefusal(t, keyVault, append(secret, "AZURE_CLIENT_SECRET=another"), "unauthenticated", "AZURE-API-KEY")
}
