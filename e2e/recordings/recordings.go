// Package recordings finds what others recorded of the real services: Go modules whose test data are answers that no server
// of ours made. Nothing is copied; the folder module pins each version and its hash, and the go command keeps the files in
// its module cache.
package recordings

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// self is this package, beside which the pins are.
const self = "github.com/keyway-dev/keyway/e2e/recordings"

// Dir gives the folder of a pinned module, which may not be written to. The first call on a machine downloads it; test
// processes that come at the same time are kept apart by the go command's own locks.
func Dir(t testing.TB, module string) string {
	t.Helper()
	here := run(t, "", "go", "list", "-f", "{{.Dir}}", self)
	pins := filepath.Join(strings.TrimSpace(string(here)), "module")
	var m struct{ Dir, Error string }
	if err := json.Unmarshal(run(t, pins, "go", "mod", "download", "-json", module), &m); err != nil || m.Dir == "" {
		t.Fatalf("recordings of %s: no folder: %s (%v)", module, m.Error, err)
	}
	return m.Dir
}

func run(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stderr.Bytes(), out)
	}
	return out
}
