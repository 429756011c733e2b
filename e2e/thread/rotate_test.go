//go:build e2e && unix

package thread_test

import (
	"fmt"
	"strings"
	"testing"
)

// Vault spells a document its own way, so what comes back differs in its bytes and not in what it says.
func TestADocumentIsRotatedHoweverItIsSpelled(t *testing.T) {
	mount := srv.KV(t, 2)
	c := newCommand(t)
	c.write(t, "token", srv.Token)
	c.write(t, "keyway.yaml", fmt.Sprintf(`version: 1
plugins: {dir: %s}
stores:
  prod:
    provider: vault
    access: read_write
    settings: {address: %s, mount: %s, auth: {token: {token: secret://file/token}}}
sources: {file: [.]}
`, bin, srv.Addr, mount))
	if r := c.keyway(t, `{"key": "one", "port": 1}`, "put", "prod", "db"); r.code != 0 {
		t.Fatalf("put: exit code %d: %s", r.code, r.stderr)
	}
	if r := c.keyway(t, `{"port": 2,  "key": "two"}`, "rotate", "prod", "db"); r.code != 0 || !strings.Contains(r.stdout, "version 2") {
		t.Errorf("rotate: exit code %d, %q: %s", r.code, r.stdout, r.stderr)
	}
	if r := c.keyway(t, "", "get", "secret://prod/db#/key"); r.code != 0 || strings.TrimSpace(r.stdout) != "two" {
		t.Errorf("get: exit code %d: %s", r.code, r.stderr)
	}
}
