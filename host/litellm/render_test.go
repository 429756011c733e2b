package litellm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/sdk"
)

// copyOf renders files and gives the copy's text, parsed and as it is.
func copyOf(t *testing.T, files map[string]string, values map[string]sdk.Sensitive) (string, map[string]any) {
	t.Helper()
	tr, err := litellm.Load(write(t, files), environment(nil), manifests(nil))
	if err != nil {
		t.Fatal(err)
	}
	path, err := tr.WriteCopy(t.TempDir(), values)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy's mode: %v, %v; want 0600", info.Mode(), err)
	}
	var tree map[string]any
	if err := yaml.Load(data, &tree); err != nil {
		t.Fatalf("the copy is not YAML: %v", err)
	}
	return string(data), tree
}

func TestTheCopyHasNoManagerAndNoInclude(t *testing.T) {
	text, tree := copyOf(t, map[string]string{
		"config.yaml": "include: more.yaml\ngeneral_settings: {key_management_system: bank_vault, key_management_settings: {hosted_keys: [A]}, master_key: os.environ/A}\n",
		"more.yaml":   "litellm_settings: {drop_params: yes}\n",
	}, nil)
	for _, gone := range []string{"key_management", "include", "more.yaml"} {
		if strings.Contains(text, gone) {
			t.Errorf("the copy still has %s:\n%s", gone, text)
		}
	}
	if got := tree["general_settings"].(map[string]any)["master_key"]; got != "os.environ/A" {
		t.Errorf("master_key: got %v, want the reference that LiteLLM resolves itself", got)
	}
}

func TestTheCopyKeepsTheSpellingThatLiteLLMsReaderDependsOn(t *testing.T) {
	// YAML 1.1 reads these as a boolean, an octal number, a text, minutes and a text.
	const spelled = "a: yes\nb: 010\nc: \"010\"\nd: 12:30\ne: 'on'\nf: |\n  two\n  lines\n"
	text, _ := copyOf(t, map[string]string{"config.yaml": spelled}, nil)
	if text != spelled {
		t.Errorf("got:\n%swant:\n%s", text, spelled)
	}
}

func TestTheCopyHoldsValuesOnlyWhereLiteLLMResolvesNone(t *testing.T) {
	canary := sdk.SensitiveString("no: \"canary\"\nline")
	text, tree := copyOf(t, map[string]string{"config.yaml": `
model_list:
  - litellm_params: {api_key: secret://prod/a, base: "http://${secret://prod/b}", tags: ["${os.environ/T}!"]}
environment_variables: {X: secret://prod/c, Y: plain}
callbacks: [os.environ/L, [{in: os.environ/N}]]
`}, map[string]sdk.Sensitive{"KEYWAY_REF_1": sdk.SensitiveString("not here"), "KEYWAY_REF_3": canary, "L": sdk.SensitiveString("yes"), "N": sdk.SensitiveString("deep")})
	params := tree["model_list"].([]any)[0].(map[string]any)["litellm_params"].(map[string]any)
	if params["api_key"] != "os.environ/KEYWAY_REF_1" || params["base"] != "os.environ/KEYWAY_REF_2" {
		t.Errorf("values of a mapping: got %v, want references to the environment", params)
	}
	if got := params["tags"].([]any)[0]; got != "no: \"canary\"\nline" {
		t.Errorf("an item of a list: got %q, want the value", got)
	}
	callbacks := tree["callbacks"].([]any)
	if callbacks[0] != "yes" || callbacks[1].([]any)[0].(map[string]any)["in"] != "deep" {
		t.Errorf("items of lists: got %v, want the values", callbacks)
	}
	if block := tree["environment_variables"].(map[string]any); len(block) != 1 || block["Y"] != "plain" {
		t.Errorf("environment_variables: got %v, want only the literal, since we export the reference", block)
	}
	if strings.Contains(text, "not here") || !strings.Contains(text, `"yes"`) {
		t.Errorf("a value that LiteLLM can resolve is in the copy, or a text lost its quotes:\n%s", text)
	}
}

func TestModulesStayLoadable(t *testing.T) {
	file := write(t, map[string]string{"config.yaml": "litellm_settings: {callbacks: [hooks.handler], other: gone.x}\n", "hooks.py": "handler = 1\n", "unused.py": ""})
	tr, err := litellm.Load(file, environment(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := tr.WriteCopy(dir, nil); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "hooks.py")); string(data) != "handler = 1\n" {
		t.Errorf("the module that the configuration names: %q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "unused.py")); err == nil {
		t.Error("a file that the configuration does not name is linked")
	}
}
