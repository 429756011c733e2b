//go:build e2e && unix

package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const generated = "keyway/plugin/v1/plugin_pb2.py"

// The page's own commands install the plugin and generate its code anew; the plugin then keeps the promises of the contract,
// and a host runs it.
func TestThePluginInPythonIsInstalledServesAndIsCurrent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "examples", "plugin-python")
	for from, to := range map[string]string{"examples/plugin-python": dir, "sdk/proto": filepath.Join(dir, "..", "..", "sdk", "proto")} {
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(to, os.DirFS(filepath.Join("../..", from))); err != nil {
			t.Fatal(err)
		}
	}
	page, err := doctest.Read(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	bench := doctest.NewBench(t)
	bench.Run(t, dir, page, without(os.Environ(), "PATH", "HOME"), func(b doctest.Block) bool { return b.Lang() == "sh" })
	for _, file := range []string{generated, strings.Replace(generated, "_pb2", "_pb2_grpc", 1)} {
		if text(t, filepath.Join(dir, file)) != text(t, filepath.Join("../../examples/plugin-python", file)) {
			t.Errorf("%s is not what the contract's .proto generates", file)
		}
	}
	python, program := filepath.Join(dir, ".venv", "bin", "python"), filepath.Join(dir, "plugin.py")
	t.Run("suite", func(t *testing.T) { suite(t, python, program) })
	t.Run("host", func(t *testing.T) { serves(t, bench, python, program) })
}

func suite(t *testing.T, python, program string) {
	plugin := sdktest.Start(t, python, program)
	settings := []byte(`{"secrets":{"known":"value"}}`)
	store, err := plugin.Open(t.Context(), "test~1", settings)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Run(t, &sdktest.Target{Plugin: plugin, Settings: settings, Store: store, Scratch: "test/", Known: map[string]string{"known": "value"}})
}

// serves has a host run the plugin: a file that is named like its provider starts the interpreter.
func serves(t *testing.T, bench doctest.Bench, python, program string) {
	dir := bench.Folder(t)
	base, err := exec.CommandContext(t.Context(), python, "-c", "import sys; print(sys.base_prefix, end='')").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"plugins/python-example": fmt.Sprintf("#!/bin/sh\nexec '%s' '%s' \"$@\"\n", python, program),
		"keyway.yaml": fmt.Sprintf(`version: 1
plugins:
  allow:
    python-example: {network: direct, read: [/etc/ld.so.cache, %[1]q], execute: [/bin, /lib, /lib64, /usr, %[2]q, %[3]q]}
stores: {py: {provider: python-example, settings: {secrets: {known: 'secret://env/VALUE'}}}}
`, filepath.Dir(program), filepath.Dir(filepath.Dir(python)), base),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := bench.Command(t, dir, []string{"VALUE=canary-value"}, "keyway", "get", "secret://py/known")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "canary-value" {
		t.Errorf("keyway get: %v, it printed:\n%s", err, out)
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func without(env []string, names ...string) (out []string) {
	for _, kv := range env {
		drop := false
		for _, n := range names {
			drop = drop || strings.HasPrefix(kv, n+"=")
		}
		if !drop {
			out = append(out, kv)
		}
	}
	return out
}
