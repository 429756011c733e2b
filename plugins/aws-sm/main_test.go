package main

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/awssm"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

type set = map[string]any

// settings are those of a store on a server.
func settings(t *testing.T, address string, more set) []byte {
	t.Helper()
	m := set{"region": "eu-west-1", "endpoint": address, "auth": set{"static": set{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "k"}}}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// opened is a store of this process, on a server.
func opened(t *testing.T, address string, more set) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, address, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	st, ok := o.Store.(*store)
	if !ok {
		t.Fatalf("open gave a %T", o.Store)
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

func wantValue(t *testing.T, st *store, name, want string) {
	t.Helper()
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil || !s.Value.Equal(sdk.SensitiveString(want)) {
		t.Errorf("get %q: %v, or another value than the one expected", name, err)
	}
}

func put(t *testing.T, st *store, r sdk.PutRequest) string {
	t.Helper()
	out, err := st.Put(t.Context(), r)
	if err != nil {
		t.Fatalf("put %q: %v", r.Name, err)
	}
	return out.Version
}

func TestConformance(t *testing.T) {
	server := awssm.Start(t)
	server.Denied, server.PurgeLooks = []string{"kwtest/denied"}, 1
	p := sdktest.Start(t, sdktest.Build(t, "."))
	raw := settings(t, server.URL, nil)
	st, err := p.Open(t.Context(), "test~1", raw)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Run(t, &sdktest.Target{
		Plugin: p, Settings: raw, Store: st, Scratch: "kwtest/", Denied: "kwtest/denied",
		SettingsAt: func(address string) []byte { return settings(t, "http://"+address, nil) },
	})
}
