//go:build e2e && unix

// Package awssm_test holds the compiled provider "aws-sm" to its promises on moto.
package awssm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/aws-sm"

// srv serves the tests that need no permissions; enforced holds callers to their keys and policies. Each test has names of
// its own.
var srv, enforced *moto.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, s := range []struct {
		server **moto.Server
		start  func() (*moto.Server, func(), error)
	}{{&srv, moto.Run}, {&enforced, moto.RunEnforced}} {
		started, stop, err := s.start()
		if err != nil {
			fmt.Fprintln(os.Stderr, "start moto:", err)
			return 1
		}
		defer stop()
		*s.server = started
	}
	return m.Run()
}

type set = map[string]any

func startPlugin(t *testing.T) *dial.Plugin {
	t.Helper()
	return sdktest.Start(t, sdktest.Build(t, pkg))
}

// openStore opens a store on a server with a plugin process of its own.
func openStore(t *testing.T, s *moto.Server, more set) *dial.Store {
	t.Helper()
	return reopen(t, startPlugin(t), s, more)
}

func reopen(t *testing.T, p *dial.Plugin, s *moto.Server, more set) *dial.Store {
	t.Helper()
	st, err := p.Open(t.Context(), "test~"+s.Name(), s.Settings(t, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

// target is what the conformance suite gets.
func target(t *testing.T, s *moto.Server, more set) *sdktest.Target {
	t.Helper()
	p := startPlugin(t)
	raw := s.Settings(t, more)
	st, err := p.Open(t.Context(), "test~"+s.Name(), raw)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return &sdktest.Target{
		Plugin: p, Settings: raw, Store: st, Scratch: "kwtest/",
		SettingsAt: func(address string) []byte {
			moved := set{"region": moto.Region, "auth": s.Key.Auth()}
			maps.Copy(moved, more)
			moved["endpoint"] = "http://" + address
			b, err := json.Marshal(moved)
			if err != nil {
				t.Errorf("settings: %v", err)
			}
			return b
		},
	}
}

// vendor is the vendor's own client of a server.
func vendor(s *moto.Server) *secretsmanager.Client { return secretsmanager.NewFromConfig(s.Config()) }

func put(t *testing.T, st *dial.Store, name, value string) string {
	t.Helper()
	r, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return r.Version
}

func wantValue(t *testing.T, st *dial.Store, name, want string) {
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
