//go:build e2e && linux

package azurekv_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/azurekv"
)

// Where Azure answers in these tests. The metadata service has an address only.
const (
	vaultHost = "kv-prod.vault.azure.net"
	entraHost = "login.microsoftonline.com"
	imdsHost  = "metadata.test"
)

// azure furnishes the world with a vault that has one secret, Entra ID and the metadata service of a virtual machine.
func azure(t *testing.T) *azurekv.Server {
	t.Helper()
	w := world.Furnish(t, map[string]string{vaultHost: "127.0.0.20", entraHost: "127.0.0.21", imdsHost: "169.254.169.254"})
	s := azurekv.New()
	s.Authority("https://" + entraHost)
	s.Set("OPENAI-API-KEY", "sk-demo-4f1c9a")
	for host, port := range map[string]string{vaultHost: "443", entraHost: "443", imdsHost: "80"} {
		w.Serve(t, host, port, s.Handler().ServeHTTP)
	}
	return s
}

func configOf(login string) string {
	return "version: 1\nsources: {env: [\"*\"]}\nstores:\n  kv:\n    provider: azure-kv\n    settings: {vault_url: https://" + vaultHost + ", " + login + "}\n"
}

// The program reads a secret with each login at Azure's own names, with the plugin confined as in production.
func TestTheProgramReadsWithEveryLoginAtAzuresOwnNames(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	s := azure(t)
	s.TrustAssertion("projected")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("projected\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := "tenant_id: " + azurekv.Tenant + ", client_id: " + azurekv.ClientID + ", "
	env := []string{"CLIENT_SECRET=" + azurekv.Secret, "WRONG=canary-wrong"}
	for name, login := range map[string]string{
		"a client secret":         app + "auth: {client_secret: {secret: secret://env/CLIENT_SECRET}}",
		"a token file":            app + "auth: {workload_identity: {token_file: " + file + "}}",
		"the machine's identity":  "auth: {managed_identity: {}}",
		"an assigned identity":    "client_id: " + azurekv.ClientID + ", auth: {managed_identity: {}}",
		"one by its object":       "auth: {managed_identity: {object_id: " + azurekv.ObjectID + "}}",
		"whatever there is":       "auth: {default: {}}",
		"one that is there first": "client_id: " + azurekv.ClientID + ", auth: {default: {}}",
	} {
		if out, err := world.Keyway(t, "keyway.yaml", configOf(login), env, "get", "secret://kv/OPENAI-API-KEY"); err != nil || out != "sk-demo-4f1c9a" {
			t.Errorf("%s: %v, and not the value alone: %q", name, err, strings.ReplaceAll(out, "sk-demo-4f1c9a", "…"))
		}
	}
	for name, c := range map[string]struct{ login, says string }{
		"a wrong secret":                 {app + "auth: {client_secret: {secret: secret://env/WRONG}}", "AADSTS7000215"},
		"an identity that is not there":  {"client_id: nobody, auth: {managed_identity: {}}", "unauthenticated"},
		"the command line, which is not": {"auth: {cli: {}}", "unauthenticated"},
	} {
		out, err := world.Keyway(t, "keyway.yaml", configOf(c.login), env, "get", "secret://kv/OPENAI-API-KEY")
		if err == nil || !strings.Contains(out, c.says) || strings.Contains(out, "canary") {
			t.Errorf("%s: %v, %q; want %s", name, err, out, c.says)
		}
	}
}

// LiteLLM's configuration, as its page about Azure Key Vault shows it, runs as it is with LiteLLM's variables.
// https://docs.litellm.ai/docs/secret_managers/azure_key_vault
func TestLiteLLMsConfigurationRunsUnchanged(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	s := azure(t)
	const config = `model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/NAME
general_settings:
  key_management_system: azure_key_vault
`
	vault := "AZURE_KEY_VAULT_URI=https://" + vaultHost + "/"
	app := []string{vault, "AZURE_TENANT_ID=" + azurekv.Tenant, "AZURE_CLIENT_ID=" + azurekv.ClientID, "AZURE_CLIENT_SECRET=" + azurekv.Secret}
	for _, c := range []struct {
		name string
		env  []string
	}{{"OPENAI-API-KEY", app}, {"OPENAI_API_KEY", app}, {"OPENAI_API_KEY", []string{vault}}} {
		text := strings.Replace(config, "NAME", c.name, 1)
		out, err := world.Keyway(t, "config.yaml", text, c.env, "run", "--litellm", "config.yaml", "--", "env", "COPY={config}")
		if err != nil || !strings.Contains(out, c.name+"=sk-demo-4f1c9a") || strings.Contains(out, azurekv.Secret) {
			t.Errorf("%s with %d variables: %v\n%s", c.name, len(c.env), err, strings.NewReplacer("sk-demo-4f1c9a", "…", azurekv.Secret, "…").Replace(out))
		}
		out, err = world.Keyway(t, "config.yaml", text, c.env, "run", "--litellm", "config.yaml", "--", "cat", "{config}")
		if err != nil || strings.Contains(out, "sk-demo") || strings.Contains(out, "azure_key_vault") || !strings.Contains(out, "os.environ/"+c.name) {
			t.Errorf("LiteLLM's copy must keep its references and hold no secret: %v", err)
		}
	}
	s.Disable("OPENAI-API-KEY")
	out, err := world.Keyway(t, "config.yaml", strings.Replace(config, "NAME", "OPENAI_API_KEY", 1), app, "run", "--litellm", "config.yaml", "--", "sh", "-c", "echo it-runs", "{config}")
	if err == nil || strings.Contains(out, "it-runs") || !strings.Contains(out, "disabled") {
		t.Errorf("keyway run with a disabled secret: %v\n%s", err, out)
	}
}

// What the provider's page shows is tried here, where Azure's names lead to the fake.
func TestTheCommandsOfThePageDoWhatItShows(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	azure(t)
	page, err := doctest.Read("../../docs/providers/azure-kv.md")
	if err != nil {
		t.Fatal(err)
	}
	bench := world.Bench(t)
	bench.Run(t, bench.Folder(t), page, []string{"AZURE_CLIENT_SECRET=" + azurekv.Secret}, func(b doctest.Block) bool { return b.Info == "console e2e" })
}
