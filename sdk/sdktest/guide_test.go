package sdktest

import (
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// guideFiles are the files that the guide shows, in its order.
var guideFiles = []string{"main.go", "settings.go", "store.go", "conformance_test.go"}

// TestPluginOfTheGuide follows docs/writing-a-plugin.md as an author elsewhere would: a module of its own, whose own test
// builds the plugin, starts it and holds it to the suite.
func TestPluginOfTheGuide(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(root, "docs", "writing-a-plugin.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := strings.Split(string(guide), "```go\npackage main\n")[1:]
	if len(blocks) != len(guideFiles) {
		t.Fatalf("the guide shows %d files, want %d", len(blocks), len(guideFiles))
	}
	for i, name := range guideFiles {
		code, _, _ := strings.Cut(blocks[i], "```")
		code = "package main\n" + code
		if formatted, err := format.Source([]byte(code)); err != nil || string(formatted) != code {
			t.Errorf("%s of the guide is not as gofmt writes it (%v)", name, err)
		}
		write(t, filepath.Join(dir, name), code)
	}
	for _, name := range []string{"go.mod", "go.sum"} { // the same versions, so that nothing is fetched
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(raw))
	}
	goIn(t, dir, "mod", "edit", "-module=example.com/keyway-httpkv", "-require=github.com/keyway-dev/keyway@v0.0.0",
		"-replace=github.com/keyway-dev/keyway="+root)
	goIn(t, dir, "vet", ".")
	if out := goIn(t, dir, "test", "-v", "."); !strings.Contains(out, "--- PASS: TestConformance/hang/close") {
		t.Errorf("the suite did not run:\n%s", out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func goIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
