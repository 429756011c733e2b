//go:build e2e && unix

// Package local_test holds the compiled provider "local" to its promises, as all others are.
package local_test

import (
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheBinaryKeepsTheContract(t *testing.T) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it cannot fail
	settings, err := json.Marshal(map[string]any{"path": filepath.Join(t.TempDir(), "secrets.kw"), "key": key, "data_keys": []string{"billing"}})
	if err != nil {
		t.Fatal(err)
	}
	plugin := sdktest.Start(t, sdktest.Build(t, "github.com/keyway-dev/keyway/plugins/local"))
	store, err := plugin.Open(t.Context(), "test~1", settings)
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, "local", &sdktest.Target{Plugin: plugin, Settings: settings, Store: store, Scratch: "kwtest/"})
}
