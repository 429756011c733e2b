//go:build e2e && unix

// Package vault_test holds the compiled provider "vault" to its promises on a real OpenBao.
package vault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/vault"

// srv serves all tests that do not break it; each has mounts and policies of its own.
var srv *openbao.Server

func TestMain(m *testing.M) {
	var stop func()
	var err error
	if srv, stop, err = openbao.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "start OpenBao:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

func startPlugin(t *testing.T) *dial.Plugin {
	t.Helper()
	return sdktest.Start(t, sdktest.Build(t, pkg))
}

type set = map[string]any

func rootAuth(s *openbao.Server) set { return tokenAuth(s.Token) }

func tokenAuth(token string) set { return set{"token": set{"token": token}} }

func approleAuth(r openbao.Role) set {
	return set{"approle": set{"mount": r.Mount, "role_id": r.RoleID, "secret_id": r.SecretID}}
}

// openStore opens a store on a server with a plugin process of its own.
func openStore(t *testing.T, s *openbao.Server, more set) *dial.Store {
	t.Helper()
	return reopen(t, startPlugin(t), s, more)
}

func reopen(t *testing.T, p *dial.Plugin, s *openbao.Server, more set) *dial.Store {
	t.Helper()
	st, err := p.Open(t.Context(), "test~"+s.Name(), s.Settings(t, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

// target is what the conformance suite gets.
func target(t *testing.T, more set) *sdktest.Target {
	t.Helper()
	p := startPlugin(t)
	raw := srv.Settings(t, more)
	st, err := p.Open(t.Context(), "test~"+srv.Name(), raw)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return &sdktest.Target{
		Plugin: p, Settings: raw, Store: st, Scratch: "kwtest/",
		SettingsAt: func(address string) []byte {
			moved := maps.Clone(more)
			moved["address"] = "http://" + address
			b, err := json.Marshal(moved)
			if err != nil {
				t.Errorf("settings: %v", err)
			}
			return b
		},
	}
}

func put(t *testing.T, st *dial.Store, name, value string) string {
	t.Helper()
	r, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return r.Version
}

// wantValue reads the secret x.
func wantValue(t *testing.T, st *dial.Store, want string) {
	t.Helper()
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	if err != nil {
		t.Errorf("get: %v", err)
		return
	}
	if !s.Value.Equal(sdk.SensitiveString(want)) {
		t.Errorf("get: another value than the %d bytes expected", len(want))
	}
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
