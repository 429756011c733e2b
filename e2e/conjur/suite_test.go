//go:build e2e && unix

package conjur_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/internal/fake/conjur"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/conjur"

type set = map[string]any

// settings of a store that logs in as the page's host.
func settings(t *testing.T, f *conjur.Server, more set) []byte {
	t.Helper()
	m := set{"address": f.URL, "account": f.Account, "login": "host/gateway", "auth": set{"api_key": set{"key": f.APIKey("host/gateway")}}}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func open(t *testing.T, p *dial.Plugin, f *conjur.Server, more set) *dial.Store {
	t.Helper()
	st, err := p.Open(t.Context(), "test~"+f.APIKey("host/gateway"), settings(t, f, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return st
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

// The policy of the page that lets a host declare is all that it needs, over TLS with an authority of one's own.
func TestTheDocumentedPolicyIsEnoughToKeepTheContract(t *testing.T) {
	pki := conjur.NewPKI(t)
	f := conjur.StartTLS(t, pki.Server)
	_, policy := policies(t)
	f.Load(t, "root", policy)
	f.Load(t, "root", "- !policy\n  id: others\n  body:\n  - !variable locked\n  - !permit\n    role: !host /gateway\n    privilege: read\n    resource: !variable locked\n")
	f.Set(t, "others/locked", "not for you")
	more := set{"policy_branch": "gateway/prod", "tls": set{"ca_file": pki.CAFile}}
	p := sdktest.Start(t, sdktest.Build(t, pkg))
	conformance.Run(t, "conjur", &sdktest.Target{
		Plugin: p, Settings: settings(t, f, more), Store: open(t, p, f, more), Scratch: "gateway/prod/kwtest/", Denied: "others/locked",
		SettingsAt: func(address string) []byte {
			moved := maps.Clone(more)
			moved["address"] = "https://" + address
			return settings(t, f, moved)
		},
	})
}

// Each line of the policies is necessary: without it, what the page says that it is for is refused.
func TestTheDocumentedPoliciesAreNecessary(t *testing.T) {
	reading, writing := policies(t)
	f := conjur.Start(t)
	f.Load(t, "root", reading)
	f.Set(t, "gateway/prod/openai", "a value")
	p := sdktest.Start(t, sdktest.Build(t, pkg))
	st := open(t, p, f, set{"policy_branch": "gateway/prod"})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "gateway/prod/openai"})
	wantCode(t, "get with the policy to read", err, sdk.OK)
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "gateway/prod/openai", Value: sdk.SensitiveString("another")})
	wantCode(t, "put with the policy to read", err, sdk.PermissionDenied)
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "gateway/prod/new", Value: sdk.SensitiveString("a value")})
	wantCode(t, "put of a new variable with the policy to read", err, sdk.FailedPrecondition)
	for _, c := range []struct {
		privilege string
		want      sdk.Code
	}{{"execute", sdk.PermissionDenied}, {"read", sdk.NotFound}} {
		f.Change(t, "gateway/prod", "- !deny\n  role: !host /gateway\n  privilege: "+c.privilege+"\n  resource: !variable openai\n")
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "gateway/prod/openai"})
		wantCode(t, "get without "+c.privilege, err, c.want)
	}
	other := conjur.Start(t)
	other.Load(t, "root", writing)
	_, err = open(t, p, other, set{"policy_branch": "gateway/prod"}).Put(t.Context(), sdk.PutRequest{Name: "gateway/prod/new", Value: sdk.SensitiveString("a value")})
	wantCode(t, "put of a new variable with the policy to write", err, sdk.OK)
}
