package main

import (
	"context"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
)

type set = map[string]any

// settings of a store of a fake without TLS and without a login, with more or others.
func settings(t *testing.T, address string, more set) []byte {
	t.Helper()
	all := set{"project": "acme-prod", "endpoint": "http://" + address, "auth": set{"none": set{}}}
	maps.Copy(all, more)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newStore starts a service and opens a store of it.
func newStore(t *testing.T, more set) (*gcpsm.Server, *store) {
	t.Helper()
	location, _ := more["location"].(string)
	srv := gcpsm.New("acme-prod", "892942638129", location)
	return srv, openStore(t, srv.Listen(t), more)
}

func openStore(t *testing.T, address string, more set) *store {
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

func put(t *testing.T, st *store, name, value string) string {
	t.Helper()
	r, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return r.Version
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

func wantValue(t *testing.T, st *store, name, version, want string) {
	t.Helper()
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: name, Version: version})
	if err != nil || !s.Value.Equal(sdk.SensitiveString(want)) {
		t.Errorf("get %q version %q: %v, or another value", name, version, err)
	}
}

// withDeadline gives a context that ends long before an hour has passed, and long after any test.
func withDeadline(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 10*time.Minute)
}
