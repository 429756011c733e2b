package litellm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/sdk"
)

// FuzzLoad: a file is refused, or its copy is a file that loads, names no manager and asks for nothing that is not known.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"model_list: [{litellm_params: {api_key: os.environ/A, tags: [os.environ/B, 'x${secret://s/n}']}}]\n",
		"general_settings: {key_management_system: bank_vault, key_management_settings: {hosted_keys: [A]}}\n",
		"a: &x {b: os.environ/C}\nc: {<<: *x}\nenvironment_variables: {D: os.environ/E, F: yes, G: null}\n",
		"extra_headers: {Authorization: Bearer os.environ/H}\ndecrypt: decrypt://k/AAAA\nd: |\n  secret://s/n\n",
	} {
		f.Add([]byte(seed))
	}
	all := manifests(nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		file := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := litellm.Load(file, environment(nil), all)
		if err != nil {
			return
		}
		values, known := map[string]sdk.Sensitive{}, map[string]bool{}
		for _, r := range first.References {
			values[r.Name], known[r.Name] = sdk.SensitiveString("plain"), true
		}
		written, err := first.WriteCopy(t.TempDir(), values)
		if err != nil {
			t.Fatalf("what loads has no copy: %v", err)
		}
		second, err := litellm.Load(written, environment(nil), all)
		if err != nil {
			t.Fatalf("the copy does not load: %v", err)
		}
		if len(second.Config.Stores) > 0 {
			t.Error("the copy names a manager")
		}
		for _, r := range second.References {
			if r.Required && !known[r.Name] {
				t.Errorf("the copy asks for %s, which the file did not", r.Name)
			}
			if r.InFile {
				t.Errorf("the copy holds a reference that LiteLLM does not resolve: %s", r.Text)
			}
		}
	})
}
