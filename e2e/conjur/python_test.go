//go:build e2e && unix

// Package conjur_test holds the Conjur in memory to what CyberArk's own Python client expects of Conjur, and the provider
// "conjur" to what that client has made and reads: no code is common to the two.
package conjur_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
)

const sessionTimeout = 2 * time.Minute

// client runs the session of CyberArk's client and gives what it printed.
func client(t *testing.T, given map[string]string) map[string]any {
	t.Helper()
	interpreter := python(t)
	input, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), sessionTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, interpreter, filepath.Join("testdata", "session.py"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("CyberArk's client: %v\n%s", err, &stderr)
	}
	var out map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("CyberArk's client printed %d bytes that are no JSON: %v", stdout.Len(), err)
	}
	return out
}

func TestCyberArksClientFindsWhatItExpects(t *testing.T) {
	pki := conjur.NewPKI(t)
	f := conjur.StartTLS(t, pki.Server)
	f.Accept("authn-jwt", "k8s", "good.jwt.token", "admin")
	got := client(t, map[string]string{
		"url": f.URL, "account": f.Account, "key": f.APIKey("admin"), "ca": pki.CAFile,
	})
	type list = []any
	want := map[string]any{
		"login": true, "token life": 480.0, "wrong key": 401.0,
		"refused deletion": 422.0, "broken policy": 422.0, "unknown record": 422.0,
		"get": "third", "get version": "second", "get many": map[string]any{"app/db/password": "third", "app/other": "another"},
		"missing version": 404.0, "missing": 404.0, "many with a missing one": 404.0, "many with one twice": 500.0,
		"empty": 422.0, "undeclared": 404.0,
		"host reads": "another", "host writes": 403.0,
		"host lists": list{"myorg:variable:app/db/password", "myorg:variable:app/other"},
		"list": list{"myorg:variable:app/db/password", "myorg:variable:app/gone", "myorg:variable:app/kept", "myorg:variable:app/other",
			"myorg:variable:temporary/b"},
		"page":     list{"myorg:variable:app/gone"},
		"resource": list{"annotations", "created_at", "id", "owner", "permissions", "policy", "secrets"},
		"exists":   list{true, false},
		"whoami":   list{list{"account", "client_ip", "token_issued_at", "user_agent", "username"}, "myorg", "host/app/gw"},
		"rotated":  list{true, 401.0, "host/app/gw"}, "own rotated": "admin",
		"jwt": "admin", "bad jwt": 401.0, "unknown service": 401.0,
		"privileges": list{true, false, true, false},
	}
	for name, w := range want {
		if !reflect.DeepEqual(got[name], w) {
			t.Errorf("%s: got %v, want %v", name, got[name], w)
		}
	}
	for name, key := range map[string]string{"loaded": "created_roles", "updated": "version"} {
		if answer, ok := got[name].(map[string]any); !ok || answer[key] == nil {
			t.Errorf("%s: the answer has no %s", name, key)
		}
	}
}
