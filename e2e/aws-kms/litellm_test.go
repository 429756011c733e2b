//go:build e2e && unix

package awskms_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// hosted is the configuration of LiteLLM's own page about AWS KMS, with a model.
// https://docs.litellm.ai/docs/secret_managers/aws_kms
const hosted = `general_settings:
  key_management_system: "aws_kms"
  key_management_settings:
    hosted_keys: ["LITELLM_MASTER_KEY", "OPENAI_API_KEY"]
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_API_KEY
      api_base: os.environ/OPENAI_API_BASE
`

// plain names no secret manager: LiteLLM's second form decrypts variables before it reads its configuration.
const plain = `general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_API_KEY
      api_base: os.environ/OPENAI_API_BASE
`

// gateway is a run of LiteLLM to be, with a key that may decrypt and the ciphertexts of secrets that end in a new line.
type gateway struct {
	keyway, dir string
	store       *dial.Store // encrypts
	env         []string
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{keyway: sdktest.Build(t, "github.com/keyway-dev/keyway/host/cmd/keyway"), dir: t.TempDir()}
	key := enforced.User(t, policy("kms:Decrypt"))
	g.store = open(t, startPlugin(t), enforced.Settings(t, set{"key": motoKey(t, "SYMMETRIC_DEFAULT")}))
	g.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "KEYWAY_PLUGIN_DIR=" + filepath.Dir(sdktest.Build(t, pkg)),
		"AWS_REGION_NAME=" + moto.Region, "AWS_ENDPOINT_URL=" + enforced.URL, "AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret,
		"OPENAI_API_BASE=https://api.example.com"}
	return g
}

// ciphertext is what LiteLLM's user has in a variable: base64, of a text that was encrypted with its line end.
func (g *gateway) ciphertext(t *testing.T, text string) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(ciphertextOf(t, g.store, text+"\n", nil))
}

// run starts a program in LiteLLM's place, which leaves its environment and its copy of the configuration behind.
func (g *gateway) run(t *testing.T, config string, env ...string) (received map[string]string, copied, messages string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), g.keyway, "run", "--litellm", "config.yaml", "--", "sh", "-c", `env -0 >env && cp "$0" copy.yaml`, "{config}")
	cmd.Dir, cmd.Env, cmd.Stderr = g.dir, append(slices.Clone(g.env), env...), &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return nil, "", stderr.String()
	}
	raw, err := os.ReadFile(filepath.Join(g.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	received = map[string]string{}
	for kv := range strings.SplitSeq(string(raw), "\x00") {
		name, value, _ := strings.Cut(kv, "=")
		received[name] = value
	}
	conf, err := os.ReadFile(filepath.Join(g.dir, "copy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return received, string(conf), stderr.String()
}

func wantEnvironment(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s did not arrive as it was encrypted: %d bytes, want %d", name, len(got[name]), len(value))
		}
	}
}

func TestLiteLLMsHostedKeysAreDecryptedFromTheEnvironment(t *testing.T) {
	g := newGateway(t)
	got, copied, messages := g.run(t, hosted, "LITELLM_MASTER_KEY="+g.ciphertext(t, "sk-canary-master"), "OPENAI_API_KEY="+g.ciphertext(t, "sk-canary-openai"))
	if got == nil {
		t.Fatalf("keyway run: %s", messages)
	}
	wantEnvironment(t, got, map[string]string{"LITELLM_MASTER_KEY": "sk-canary-master", "OPENAI_API_KEY": "sk-canary-openai", "OPENAI_API_BASE": "https://api.example.com",
		"AWS_SECRET_ACCESS_KEY": ""})
	if !strings.Contains(copied, "os.environ/OPENAI_API_KEY") || strings.Contains(copied, "aws_kms") || strings.Contains(copied+messages, "canary") {
		t.Errorf("LiteLLM's copy must keep its references and lose its manager, and no message may hold a value:\n%s\n%s", copied, messages)
	}
}

func TestWithoutHostedKeysPlainVariablesStayAsTheyAre(t *testing.T) {
	g := newGateway(t)
	config := strings.Replace(hosted, `    hosted_keys: ["LITELLM_MASTER_KEY", "OPENAI_API_KEY"]`, "    access_mode: read_only", 1)
	got, _, messages := g.run(t, config, "OPENAI_API_KEY="+g.ciphertext(t, "sk-canary-openai"), "LITELLM_MASTER_KEY=sk-plain")
	if got == nil {
		t.Fatalf("keyway run: %s", messages)
	}
	wantEnvironment(t, got, map[string]string{"LITELLM_MASTER_KEY": "sk-plain", "OPENAI_API_KEY": "sk-canary-openai", "OPENAI_API_BASE": "https://api.example.com"})
	if !strings.Contains(messages, "hosted_keys is not set") {
		t.Errorf("nothing is said of what was decrypted: %s", messages)
	}
}

func TestVariablesOfTheSecondFormAreDecryptedBeforeTheStart(t *testing.T) {
	g := newGateway(t)
	got, copied, messages := g.run(t, plain, "USE_AWS_KMS=True", "LITELLM_SECRET_AWS_KMS_LITELLM_MASTER_KEY="+g.ciphertext(t, "sk-canary-master"),
		"OPENAI_API_KEY=aws_kms/"+g.ciphertext(t, "sk-canary-openai"), "LITELLM_SECRET_AWS_KMS_DATABASE_URL=aws_kms/"+g.ciphertext(t, "postgres://canary"))
	if got == nil {
		t.Fatalf("keyway run: %s", messages)
	}
	wantEnvironment(t, got, map[string]string{"LITELLM_MASTER_KEY": "sk-canary-master", "OPENAI_API_KEY": "sk-canary-openai", "DATABASE_URL": "postgres://canary",
		"OPENAI_API_BASE": "https://api.example.com"})
	for name := range got {
		if name == "USE_AWS_KMS" || strings.HasPrefix(name, "LITELLM_SECRET_AWS_KMS_") || name == "AWS_SECRET_ACCESS_KEY" {
			t.Errorf("%s was handed on: LiteLLM would decrypt anew, or has a key that it does not need", name)
		}
	}
	if !strings.Contains(copied, "os.environ/OPENAI_API_KEY") || strings.Contains(messages, "canary") {
		t.Errorf("copy and messages:\n%s\n%s", copied, messages)
	}
}

func TestACiphertextIsNeverHandedOverForItsSecret(t *testing.T) {
	g := newGateway(t)
	c := g.ciphertext(t, "sk-canary")
	denied := enforced.User(t, policy("kms:Encrypt"))
	for name, tc := range map[string]struct {
		config string
		env    []string
		want   string
	}{
		"without permission":           {hosted, []string{"OPENAI_API_KEY=" + c, "AWS_ACCESS_KEY_ID=" + denied.ID, "AWS_SECRET_ACCESS_KEY=" + denied.Secret}, "needs kms:Decrypt"},
		"what LiteLLM reads by itself": {hosted, []string{"OPENAI_API_KEY=" + c, "LITELLM_MASTER_KEY=" + base64.StdEncoding.EncodeToString([]byte("tampered with"))}, "LITELLM_MASTER_KEY"},
		"a name that is not set":       {hosted, nil, "OPENAI_API_KEY"},
		"the second form":              {plain, []string{"USE_AWS_KMS=True", "LITELLM_MASTER_KEY=sk-plain", "OPENAI_API_KEY=aws_kms/dGFtcGVyZWQgd2l0aA=="}, "OPENAI_API_KEY"},
		"no base64 in the second form": {plain, []string{"USE_AWS_KMS=True", "LITELLM_MASTER_KEY=sk-plain", "OPENAI_API_KEY=aws_kms/%%%"}, "OPENAI_API_KEY holds no ciphertext"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, messages := g.run(t, tc.config, tc.env...)
			if got != nil || !strings.Contains(messages, tc.want) || strings.Contains(messages, "canary") {
				t.Errorf("started %v, messages %q; want no start and %q", got != nil, messages, tc.want)
			}
		})
	}
}
