package main

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// A confined process may read a file only once the host has heard of it, which is after Open; and files are renewed.
func TestTheFileOfAuthoritiesIsReadAtEachHandshake(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/auth/token/lookup-self" {
			reply(200, forever)(w, r)
			return
		}
		if r.ProtoMajor != 2 {
			t.Errorf("%s is spoken, want HTTP/2", r.Proto)
		}
		reply(200, hello)(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	path := filepath.Join(t.TempDir(), "ca.pem")
	st := openStore(t, srv.URL, map[string]any{"tls": map[string]any{"ca_file": path}})
	wrongName := openStore(t, srv.URL, map[string]any{"tls": map[string]any{"ca_file": path, "server_name": "vault.test"}})

	fails := func(st *store, words string) {
		t.Helper()
		st.transport.CloseIdleConnections()
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "get", err, sdk.Unavailable)
		if err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("get: %v, want it to say %q", err, words)
		}
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails(st, "tls.ca_file")
	write([]byte("hello"))
	fails(st, "holds no PEM certificate")
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	get(t, st)
	fails(wrongName, "vault.test")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	fails(st, "tls.ca_file")
}

// The host's dialer and a plugin's own fail alike.
func TestAConnectionThatWasNotMadeIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"the network":             {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, true},
		"the host's network":      {&net.OpError{Op: "dial", Err: sdk.Errorf(sdk.Unavailable, "connection refused")}, true},
		"the host's rules":        {sdk.Errorf(sdk.PermissionDenied, "not declared"), false},
		"a certificate to log in": {sdk.Errorf(sdk.Unauthenticated, "client certificate"), false},
	} {
		if got, _ := worthRetrying(t.Context(), nil, tc.err); got != tc.want {
			t.Errorf("%s: tried again %v, want %v", name, got, tc.want)
		}
	}
}
