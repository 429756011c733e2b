//go:build e2e && linux

package litellm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/e2e/world"
)

// hashicorp is the configuration of https://docs.litellm.ai/docs/secret_managers/hashicorp_vault, with a model.
const hashicorp = `model_list:
  - model_name: gpt
    litellm_params: {model: azure/gpt-5, api_key: os.environ/AZURE_API_KEY}
general_settings:
  key_management_system: "hashicorp_vault"
  key_management_settings:
    store_virtual_keys: true
    prefix_for_stored_virtual_keys: "litellm/"
    access_mode: "read_and_write"
`

// litellmPolicy is that of the page.
const litellmPolicy = `path "secret/data/*" { capabilities = ["create", "read", "update", "delete", "list"] }`

func TestVault(t *testing.T) {
	root := openbao.Start(t)
	admin := root.In(t, "admin")
	for _, s := range []*openbao.Server{root, admin} {
		s.MountKV(t, "secret", 2)
		for _, path := range []string{"AZURE_API_KEY", "litellm/AZURE_API_KEY"} {
			s.Write(t, "secret/data/"+path, map[string]any{"data": map[string]any{"key": "sk-canary" + s.Namespace() + path}})
		}
	}
	keyway := with("vault")
	role := admin.AppRole(t, litellmPolicy, map[string]any{"token_ttl": "32d", "token_max_ttl": "32d"})
	token := root.NewToken(t, litellmPolicy)
	want := func(value string) map[string]string { return map[string]string{"AZURE_API_KEY": value} }
	all := []string{"HCP_VAULT_ADDR=" + root.Addr, "HCP_VAULT_NAMESPACE=admin", "HCP_VAULT_APPROLE_ROLE_ID=" + role.RoleID, "HCP_VAULT_APPROLE_SECRET_ID=" + role.SecretID,
		"HCP_VAULT_APPROLE_MOUNT_PATH=" + role.Mount, "HCP_VAULT_REFRESH_INTERVAL=86400", "HCP_VAULT_MOUNT_NAME=secret", "HCP_VAULT_PATH_PREFIX=litellm",
		"HCP_VAULT_TOKEN=" + token} // which the role precedes
	keyway.wantStart(t, hashicorp, all, want("sk-canaryadminlitellm/AZURE_API_KEY"), "HCP_VAULT_APPROLE_SECRET_ID", "HCP_VAULT_TOKEN")
	few := []string{"HCP_VAULT_ADDR=" + root.Addr, "HCP_VAULT_TOKEN=" + token}
	keyway.wantStart(t, hashicorp, few, want("sk-canaryAZURE_API_KEY"), "HCP_VAULT_TOKEN")
	keyway.wantRefusal(t, hashicorp, append(few, "HCP_VAULT_MOUNT_NAME=elsewhere"), "AZURE_API_KEY", "permission denied")
}

// LiteLLM has no variable for a server's authority, so that of the machine must trust it.
func TestVaultWithACertificate(t *testing.T) {
	openbao.Install(t)
	if !world.Inside(t, plugins+"vault") {
		return
	}
	w := world.Furnish(t, map[string]string{"vault.test": "127.0.0.1"})
	s := openbao.Start(t, openbao.ClientCert())
	w.Trust(t, s.CA)
	s.MountKV(t, "secret", 2)
	s.Write(t, "secret/data/AZURE_API_KEY", map[string]any{"data": map[string]any{"key": "sk-canary"}})
	s.Write(t, "sys/auth/cert", map[string]any{"type": "cert"})
	s.Write(t, "auth/cert/certs/gateway", map[string]any{"certificate": s.CA, "token_policies": []string{s.Policy(t, litellmPolicy)}})
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	for file, content := range map[string]string{cert: s.Cert, key: s.Key} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"HCP_VAULT_ADDR=" + s.Addr, "HCP_VAULT_CLIENT_CERT=" + cert, "HCP_VAULT_CLIENT_KEY=" + key}
	keyway := runs(world.Keyway)
	keyway.wantStart(t, hashicorp, env, map[string]string{"AZURE_API_KEY": "sk-canary"})
	keyway.wantStart(t, hashicorp, append(env, "HCP_VAULT_CERT_ROLE=gateway"), map[string]string{"AZURE_API_KEY": "sk-canary"})
	keyway.wantRefusal(t, hashicorp, append(env, "HCP_VAULT_CERT_ROLE=another"), "AZURE_API_KEY", "unauthenticated")
}
