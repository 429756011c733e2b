package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
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
	srv := httptest.NewServer(f.serve(routes))
	t.Cleanup(srv.Close)
	f.URL = srv.URL
	return f
}

// newFakeInBubble is newFake without a network, for a bubble in which time passes when everybody waits for it.
func newFakeInBubble(t *testing.T, routes map[string]http.HandlerFunc) (*fake, sdk.Env) {
	t.Helper()
	f := &fake{count: map[string]int{}, URL: "http://vault.test:8200"}
	wire := &memory{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: f.serve(routes)}
	go func() { _ = srv.Serve(wire) }()
	t.Cleanup(func() { _ = srv.Close() })
	return f, sdk.Env{DialContext: wire.dial}
}

// memory is a listener whose connections are pipes.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.conns <- far:
		return near, nil
	case <-m.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.done) }); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (f *fake) serve(routes map[string]http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
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
	}
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

// last gives the last request to a route, nil if there was none.
func (f *fake) last(key string) *http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range slices.Backward(f.seen) {
		if r.Method+" "+r.URL.Path == key {
			return r
		}
	}
	return nil
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
	healthPath = "GET /v1/sys/health"
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

// auth gives the setting of a login, its members in turn.
func auth(name string, members ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(members); i += 2 {
		m[members[i].(string)] = members[i+1]
	}
	return map[string]any{"auth": map[string]any{name: m}}
}

func openStore(t *testing.T, address string, more map[string]any) *store {
	t.Helper()
	return openWith(t, sdk.Env{}, address, more)
}

func openWith(t *testing.T, env sdk.Env, address string, more map[string]any) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), env, settings(t, address, more))
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
