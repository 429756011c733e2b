package main

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// gatewayPolicy gives a host a branch of its own, and variables of others of which it may read one and see another.
const gatewayPolicy = `
- !host gateway
- !policy
  id: gateway/prod
  owner: !host gateway
- !policy
  id: others
  body:
  - !variable readable
  - !variable locked
  - !permit
    role: !host /gateway
    privileges: [read, execute]
    resource: !variable readable
  - !permit
    role: !host /gateway
    privileges: [read]
    resource: !variable locked
`

type set = map[string]any

// settings of a store that logs in as the host, with changes.
func settings(t *testing.T, f *conjur.Server, more set) []byte {
	t.Helper()
	m := set{"address": f.URL, "account": f.Account, "login": "host/gateway", "auth": set{"api_key": set{"key": f.APIKey("host/gateway")}}}
	maps.Copy(m, more)
	for k, v := range m {
		if v == nil {
			delete(m, k)
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func newFake(t *testing.T) *conjur.Server {
	t.Helper()
	f := conjur.Start(t)
	f.Load(t, "root", gatewayPolicy)
	f.Set(t, "others/readable", "a value")
	f.Set(t, "others/locked", "not for you")
	return f
}

func openStore(t *testing.T, f *conjur.Server, more set) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, f, more))
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

func target(t *testing.T, f *conjur.Server, more set) *sdktest.Target {
	t.Helper()
	p := sdktest.Start(t, sdktest.Build(t, "."))
	raw := settings(t, f, more)
	st, err := p.Open(t.Context(), "test~1", raw)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return &sdktest.Target{
		Plugin: p, Settings: raw, Store: st, Scratch: "gateway/prod/kwtest/", Denied: "others/locked",
		SettingsAt: func(address string) []byte {
			moved := set{"address": "http://" + address}
			for k, v := range more {
				if k != "address" {
					moved[k] = v
				}
			}
			return settings(t, f, moved)
		},
	}
}

func TestAStoreThatDeclaresKeepsTheContract(t *testing.T) {
	sdktest.Run(t, target(t, newFake(t), set{"policy_branch": "gateway/prod"}))
}

func TestAStoreOfARootPolicyKeepsTheContract(t *testing.T) {
	f := newFake(t)
	tg := target(t, f, set{"policy_branch": "root", "path_prefix": "deep/down", "login": "admin", "auth": set{"api_key": set{"key": f.APIKey("admin")}}})
	tg.Scratch, tg.Denied = "kwtest/", ""
	sdktest.Run(t, tg)
}
