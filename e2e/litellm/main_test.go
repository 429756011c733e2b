//go:build e2e && linux

// Package litellm_test runs the configurations that LiteLLM's documentation shows, unchanged and with its variables, in front
// of servers of the secret managers: every reference arrives, and the manager's own credentials stay behind. Google's Secret
// Manager, Google KMS, AWS KMS and most of Conjur's are beside the suites of their providers.
//
// LiteLLM has variables for the addresses of Vault, Conjur and Key Vault. That of Secrets Manager is told by a variable of
// AWS's own tools, AWS_ENDPOINT_URL. Key Vault and the Vault with certificates need a world, in which a cloud's names lead
// here and an authority is trusted as a company's is.
package litellm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const plugins = "github.com/keyway-dev/keyway/plugins/"

// runs is a way to run the program in a folder with a file, and with nothing in its environment but env.
type runs func(t *testing.T, file, content string, env []string, args ...string) (string, error)

// with is runs with one plugin, on this machine's network.
func with(provider string) runs {
	return func(t *testing.T, file, content string, env []string, args ...string) (string, error) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), sdktest.Build(t, "github.com/keyway-dev/keyway/host/cmd/keyway"), args...)
		cmd.Dir = dir
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "KEYWAY_PLUGIN_DIR=" + filepath.Dir(sdktest.Build(t, plugins+provider))}, env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// start has a program in LiteLLM's place print its environment and its copy of the configuration.
func (keyway runs) start(t *testing.T, config string, env ...string) (received map[string]string, copied, messages string, err error) {
	t.Helper()
	out, err := keyway(t, "config.yaml", config, env, "run", "--litellm", "config.yaml", "--", "cat", "/proc/self/environ", "{config}")
	if err != nil {
		return nil, "", out, err
	}
	entries := strings.Split(out, "\x00")
	if i := strings.LastIndex(entries[0], "\n"); i >= 0 {
		messages, entries[0] = entries[0][:i+1], entries[0][i+1:]
	}
	received = map[string]string{}
	for _, kv := range entries[:len(entries)-1] {
		name, value, _ := strings.Cut(kv, "=")
		received[name] = value
	}
	return received, entries[len(entries)-1], messages, nil
}

// wantStart starts a configuration and looks at what LiteLLM gets: the secrets, and of the variables that were set none
// that holds a credential of the manager.
func (keyway runs) wantStart(t *testing.T, config string, env []string, want map[string]string, withheld ...string) {
	t.Helper()
	got, copied, messages, err := keyway.start(t, config, env...)
	if err != nil {
		t.Errorf("keyway run: %v\n%s", err, messages)
		return
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s did not arrive as the manager holds it: %d bytes, want %d", name, len(got[name]), len(value))
		}
		if strings.Contains(copied+messages, value) {
			t.Errorf("the value of %s is in the copy or in a message", name)
		}
	}
	for _, name := range withheld {
		if value, ok := got[name]; ok {
			t.Errorf("LiteLLM gets %s (%d bytes), a credential of the manager", name, len(value))
		}
	}
	if !strings.Contains(copied, "os.environ/") || strings.Contains(copied, "key_management_system") {
		t.Errorf("the copy must keep its references and lose its manager:\n%s", copied)
	}
}

// wantRefusal starts what must not start, with words in the message.
func (keyway runs) wantRefusal(t *testing.T, config string, env []string, words ...string) {
	t.Helper()
	_, _, messages, err := keyway.start(t, config, env...)
	if err == nil {
		t.Errorf("it starts; want a message with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(messages, w) {
			t.Errorf("the message does not say %q: %s", w, messages)
		}
	}
}
