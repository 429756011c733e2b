//go:build e2e && unix

// Package azurekv_test holds the compiled provider "azure-kv" to its promises: on recordings of the real service, on a fake
// that is held to the same recordings, and on that fake under Azure's own names.
package azurekv_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/azure-kv"

type set = map[string]any

// settings are those of a store whose vault and authority answer at an address.
func settings(address, ca string, more set) set {
	all := set{"vault_url": "https://fakevault.vault.azure.net", "endpoint": address, "authority_host": address, "tls": set{"ca": ca},
		"tenant_id": azurekv.Tenant, "client_id": azurekv.ClientID, "auth": set{"client_secret": set{"secret": azurekv.Secret}}}
	maps.Copy(all, more)
	return all
}

func encode(t *testing.T, settings set) []byte {
	t.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// openStore opens a store with a plugin process of its own.
func openStore(t *testing.T, settings set) (*dial.Plugin, *dial.Store) {
	t.Helper()
	p := sdktest.Start(t, sdktest.Build(t, pkg))
	st, err := p.Open(t.Context(), "test~1", encode(t, settings))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return p, st
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
