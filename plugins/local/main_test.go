package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// defined is made once; the tests open hundreds of stores.
var defined = plugin()

// TestMain also is the second process of the tests that need one.
func TestMain(m *testing.M) {
	if role := os.Getenv("KEYWAY_LOCAL_TEST_ROLE"); role != "" {
		os.Exit(actAs(role))
	}
	os.Exit(m.Run())
}

// keyText gives a key that depends on the seed only.
func keyText(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// settingsJSON gives the settings of a store in dir, with changes; nil removes one.
func settingsJSON(path string, changes map[string]any) []byte {
	all := map[string]any{"path": path, "key": keyText("the key")}
	for k, v := range changes {
		if all[k] = v; v == nil {
			delete(all, k)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return raw
}

func storePath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "secrets.kw")
}

func openStore(t *testing.T, path string, changes map[string]any) *store {
	t.Helper()
	opened, err := defined.Open(t.Context(), sdk.Env{}, settingsJSON(path, changes))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return opened.Store.(*store)
}

func mustPut(t *testing.T, s *store, name, value string) string {
	t.Helper()
	out, err := s.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("Put(%q): %v", name, err)
	}
	return out.Version
}

// wantValue holds a secret to a value; an empty one means that there is none.
func wantValue(t *testing.T, s *store, name, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), sdk.GetRequest{Name: name})
	if want == "" {
		wantCode(t, err, sdk.NotFound, "Get of "+name)
		return
	}
	if err != nil || string(got.Value.Reveal()) != want {
		t.Errorf("Get(%q): the value is not %q (error %v)", name, want, err)
	}
}

func wantCode(t *testing.T, err error, want sdk.Code, what string) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
