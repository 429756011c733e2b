//go:build e2e && unix

package conjur_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// liteLLM is the configuration of LiteLLM's own page about CyberArk, with a model.
// https://docs.litellm.ai/docs/secret_managers/cyberark
const liteLLM = `model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_API_KEY
general_settings:
  key_management_system: "cyberark"
  key_management_settings:
    store_virtual_keys: true
    prefix_for_stored_virtual_keys: "litellm/"
    access_mode: "read_and_write"
    hosted_keys: [OPENAI_API_KEY]
`

// run starts a program in LiteLLM's place, which tells whether it has the secret and no key of the manager.
func run(t *testing.T, env ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(liteLLM), 0o600); err != nil {
		t.Fatal(err)
	}
	const program = `test "$OPENAI_API_KEY" = sk-canary && test -z "$CYBERARK_API_KEY" && grep -q os.environ/OPENAI_API_KEY "$0" && ! grep -q cyberark "$0" && echo it runs`
	cmd := exec.CommandContext(t.Context(), sdktest.Build(t, "github.com/keyway-dev/keyway/host/cmd/keyway"),
		"run", "--litellm", "config.yaml", "--", "sh", "-c", program, "{config}")
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "KEYWAY_PLUGIN_DIR=" + filepath.Dir(sdktest.Build(t, pkg))}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestLiteLLMsConfigurationRunsUnchanged(t *testing.T) {
	plain := conjur.Start(t)
	pki := conjur.NewPKI(t)
	secure := conjur.StartTLS(t, pki.Server)
	for _, f := range []*conjur.Server{plain, secure} {
		f.Load(t, "root", "- !host gateway\n- !variable OPENAI_API_KEY\n- !permit\n  role: !host gateway\n  privileges: [read, execute]\n  resource: !variable OPENAI_API_KEY\n")
		f.Set(t, "OPENAI_API_KEY", "sk-canary")
	}
	account := "CYBERARK_ACCOUNT=" + plain.Account
	for name, env := range map[string][]string{
		"a user's key": {"CYBERARK_API_BASE=" + plain.URL, account, "CYBERARK_USERNAME=admin", "CYBERARK_API_KEY=" + plain.APIKey("admin"), "CYBERARK_REFRESH_INTERVAL=60"},
		"a host's key": {"CYBERARK_API_BASE=" + plain.URL + "/", account, "CYBERARK_USERNAME=host/gateway", "CYBERARK_API_KEY=" + plain.APIKey("host/gateway"), "CYBERARK_SSL_VERIFY=true"},
		"key and certificate": {"CYBERARK_API_BASE=" + secure.URL, account, "CYBERARK_API_KEY=" + secure.APIKey("admin"), "CYBERARK_SSL_VERIFY=false",
			"CYBERARK_CLIENT_CERT=" + pki.CertFile, "CYBERARK_CLIENT_KEY=" + pki.KeyFile},
	} {
		if out, err := run(t, env...); err != nil || !strings.Contains(out, "it runs") || strings.Contains(out, "canary") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"a wrong key":             {[]string{"CYBERARK_API_BASE=" + plain.URL, account, "CYBERARK_API_KEY=canary"}, "401"},
		"no credentials":          {[]string{"CYBERARK_API_BASE=" + plain.URL, account}, "tls.cert_file"},
		"a server not trusted":    {[]string{"CYBERARK_API_BASE=" + secure.URL, account, "CYBERARK_API_KEY=" + secure.APIKey("admin")}, "certificate"},
		"the certificate for all": {[]string{"CYBERARK_API_BASE=" + secure.URL, account, "CYBERARK_SSL_VERIFY=false", "CYBERARK_CLIENT_CERT=" + pki.CertFile, "CYBERARK_CLIENT_KEY=" + pki.KeyFile}, "401"},
	} {
		if out, err := run(t, c.env...); err == nil || !strings.Contains(out, c.want) || strings.Contains(out, "canary") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
