package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// fake is a Vault that answers as the test says, and counts. The real server is in e2e; this one has the faults that the
// real one cannot be brought to.
type fake struct {
	URL   string
	mu    sync.Mutex
	count map[string]int
	seen  []*http.Request
}

// newFake serves routes by "METHOD /path"; others are 404 as Vault answers for a secret that does not exist.
func newFake(t *testing.T, routes map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{count: map[string]int{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Method + " " + r.URL.Path
		f.mu.Lock()
		f.count[key]++
		f.seen = append(f.seen, r)
		f.mu.Unlock()
		if h := routes[key]; h != nil {
			h(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[]}`)
	}))
	t.Cleanup(srv.Close)
	f.URL = srv.URL
	return f
}

func (f *fake) calls(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[key]
}

func (f *fake) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const (
	lookUpPath = "GET /v1/auth/token/lookup-self"
	loginPath  = "PUT /v1/auth/approle/login"
	renewPath  = "PUT /v1/auth/token/renew-self"
	getPath    = "GET /v1/secret/data/x"
	forever    = `{"data":{"display_name":"root","ttl":0,"renewable":false}}`
	hello      = `{"data":{"data":{"key":"hello"},"metadata":{"version":3,"created_time":"2026-01-02T03:04:05.5Z","deletion_time":"","destroyed":false}}}`
	denied     = `{"errors":["permission denied"]}`
)

// settings of a store that uses a token, with changes.
func settings(t *testing.T, address string, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"address": address, "auth": map[string]any{"token": map[string]any{"token": "hvs.canary"}}}
	for k, v := range more {
		m[k] = v
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func approle() map[string]any {
	return map[string]any{"auth": map[string]any{"approle": map[string]any{"role_id": "role", "secret_id": "canary-secret-id"}}}
}

func openStore(t *testing.T, address string, more map[string]any) *store {
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

func asError(err error) *sdk.Error {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	return &sdk.Error{}
}
