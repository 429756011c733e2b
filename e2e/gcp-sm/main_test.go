//go:build e2e && unix

// Package gcpsm_test holds the compiled provider "gcp-sm", and the fake that its own tests use, to what was recorded of the
// real service.
package gcpsm_test

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/gcp-sm"

type set = map[string]any

// settingsAt are those of a store without a login, with more or others.
func settingsAt(t *testing.T, address string, more set) []byte {
	t.Helper()
	all := set{"project": "acme-prod", "endpoint": "http://" + address, "auth": set{"none": set{}}}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// openStore opens a store with a plugin process of its own.
func openStore(t *testing.T, address string, more set) *dial.Store {
	t.Helper()
	p := sdktest.Start(t, sdktest.Build(t, pkg))
	st, err := p.Open(t.Context(), "test~1", settingsAt(t, address, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
