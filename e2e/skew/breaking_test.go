//go:build e2e

package skew_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const contract = "keyway/plugin/v1/plugin.proto"

// breaking holds a changed copy of today's contract against the first state, as make lint does, and answers what it says.
func breaking(t *testing.T, from, to string) (says string, refused bool) {
	t.Helper()
	today, err := os.ReadFile(filepath.Join("../../sdk/proto", contract))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(today), from); n != 1 {
		t.Fatalf("%q is %d times in %s, want once", from, n, contract)
	}
	rules, err := os.ReadFile("../../sdk/proto/buf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"buf.yaml": string(rules), contract: strings.Replace(string(today), from, to, 1)} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	buf := exec.CommandContext(t.Context(), "go", "tool", "-modfile=../../tools/go.mod", "buf", "breaking", dir, "--against", "first")
	out, err := buf.CombinedOutput()
	return string(out), err != nil
}

func TestABreakingChangeOfTheContractIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"another number":       {"string prefix = 2;", "string prefix = 9;", "prefix"},
		"another type":         {"bool recoverable = 1;", "string recoverable = 1;", "recoverable"},
		"another name":         {"string identity = 1;", "string whoami = 1;", "identity"},
		"a field that is gone": {"bool purge = 3;", "reserved 3; reserved \"purge\";", "purge"},
		"a state renumbered":   {"STATE_DESTROYED = 4;", "STATE_DESTROYED = 5;", "STATE_DESTROYED"},
		"a call that is gone":  {"rpc Watch(WatchRequest) returns (stream WatchResponse);", "", "Watch"},
		"a call that streams":  {"rpc Stat(StatRequest) returns (StatResponse);", "rpc Stat(StatRequest) returns (stream StatResponse);", "Stat"},
		"a message moved out":  {"package keyway.plugin.v1;", "package keyway.plugin.v2;", "keyway.plugin.v1"},
	} {
		says, refused := breaking(t, c.from, c.to)
		if !refused || !strings.Contains(says, c.says) {
			t.Errorf("%s: refused %v, with: %s; want it refused with a word of %s", name, refused, says, c.says)
		}
	}
}

func TestAnAdditionToTheContractIsNoBreakingChange(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"nothing":         {"message CloseResponse {}", "message CloseResponse {}"},
		"a field":         {"message CloseResponse {}", "message CloseResponse { string last_words = 1; }"},
		"a state":         {"STATE_DESTROYED = 4;", "STATE_DESTROYED = 4; STATE_QUARANTINED = 5;"},
		"a call":          {"rpc Check(CheckRequest)", "rpc Recheck(CheckRequest) returns (CheckResponse);\n  rpc Check(CheckRequest)"},
		"another go name": {"plugin/v1;pluginv1", "plugin/v1;plugin"},
	} {
		if says, refused := breaking(t, c.from, c.to); refused {
			t.Errorf("%s: refused: %s", name, says)
		}
	}
}
