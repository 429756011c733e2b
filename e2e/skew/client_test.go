//go:build linux

package skew_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// everything is what the client of the first state tries with a store that can do all.
const everything = "check\nput\nput.if_absent\nput.if_version\nget\nnot found\nget.version\nget_batch\nstat\nlist\nversions\n" +
	"encrypt\nwatch\nfuture field\ndelete\nrestore\nclose\nstranger\nlifeline\n"

// drive lets the client of the first state drive a plugin, and answers what it found kept, a line each.
func drive(t *testing.T, pkg string, settings map[string]any) string {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	client := exec.CommandContext(t.Context(), sdktest.Build(t, "./first/client"), sdktest.Build(t, pkg))
	client.Stdin = strings.NewReader(string(text))
	var stderr strings.Builder
	client.Stderr = &stderr
	out, err := client.Output()
	if err != nil {
		t.Fatalf("the client of the first state with %s: %v: %s\nkept until then:\n%s", pkg, err, &stderr, out)
	}
	return string(out)
}

func TestAHostOfTheFirstStateDrivesTodaysPlugins(t *testing.T) {
	for pkg, settings := range map[string]map[string]any{
		"../../sdk/example/plugin": {},
		"../../plugins/local": {
			"path": filepath.Join(t.TempDir(), "secrets.kw"),
			"key":  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		},
	} {
		t.Run(filepath.Base(pkg), func(t *testing.T) {
			described, kept, _ := strings.Cut(drive(t, pkg, settings), "\n")
			if !strings.HasPrefix(described, "describe ") || kept != everything {
				t.Errorf("kept:\n%s\n%s\nwant a description and:\n%s", described, kept, everything)
			}
		})
	}
}
