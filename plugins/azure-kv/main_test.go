package main

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk"
)

type set = map[string]any

// settings are those of a store on the fake, logged in with its client secret, with some changed; nil takes one out.
func settings(s *azurekv.Server, more set) set {
	all := set{"vault_url": "https://kv-test.vault.azure.net", "endpoint": s.URL(), "authority_host": s.URL(), "tls": set{"ca": s.CA()},
		"tenant_id": azurekv.Tenant, "client_id": azurekv.ClientID, "auth": set{"client_secret": set{"secret": azurekv.Secret}}}
	maps.Copy(all, more)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
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

// opened opens a store in this process.
func opened(t *testing.T, s *azurekv.Server, more set) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), sdk.Env{}, encode(t, settings(s, more)))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = o.Store.Close(context.Background()) })
	st, ok := o.Store.(*store)
	if !ok {
		t.Fatalf("open made a %T", o.Store)
	}
	return st
}

func put(t *testing.T, st *store, name, value string) string {
	t.Helper()
	r, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return r.Version
}

func wantValue(t *testing.T, st *store, name, want string) {
	t.Helper()
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil {
		t.Errorf("get %q: %v", name, err)
		return
	}
	if !s.Value.Equal(sdk.SensitiveString(want)) {
		t.Errorf("get %q: another value than the %d bytes expected", name, len(want))
	}
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
