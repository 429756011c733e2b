//go:build e2e && unix

package gcpsm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestTheBinaryKeepsTheContract(t *testing.T) {
	for name, c := range map[string]struct {
		scratch string
		more    set
	}{
		"global":    {"kwtest-", nil},
		"regional":  {"kwtest-", set{"location": "europe-west3"}},
		"any names": {"kwtest/sub_folder/", set{"names": "escaped"}},
	} {
		t.Run(name, func(t *testing.T) {
			location, _ := c.more["location"].(string)
			srv := gcpsm.New("acme-prod", number, location)
			for _, p := range all {
				srv.Deny("secretmanager."+p, "denied")
			}
			at := func(address string) []byte { return settingsAt(t, address, c.more) }
			own := at(srv.Listen(t))
			p := sdktest.Start(t, sdktest.Build(t, pkg))
			st, err := p.Open(t.Context(), "test~1", own)
			if err != nil {
				t.Fatal(err)
			}
			conformance.Run(t, "gcp-sm", &sdktest.Target{Plugin: p, Settings: own, Store: st, Scratch: c.scratch, Denied: "denied", SettingsAt: at})
		})
	}
}

// permissions are what the page says that each kind of call needs, and nothing else.
var permissions = map[string][]string{
	"get":           {"versions.access"},
	"stat":          {"secrets.get", "versions.get"},
	"list":          {"secrets.list"},
	"versions":      {"versions.list"},
	"put":           {"versions.add"},
	"put of a new":  {"versions.add", "secrets.create"},
	"put if absent": {"versions.list", "secrets.create"},
	"delete":        {"secrets.delete"},
}

// all are the permissions that a store has a use for.
var all = []string{"versions.access", "versions.get", "versions.list", "versions.add", "secrets.get", "secrets.list", "secrets.create", "secrets.update", "secrets.delete"}

// The permissions of the page are enough for what it says, and each is necessary.
func TestTheDocumentedPermissionsAreEnoughAndNecessary(t *testing.T) {
	for what, needed := range permissions {
		wantCode(t, what+" with "+strings.Join(needed, ", "), try(t, what, slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(needed, p) })), outcome(what))
		for _, p := range needed {
			wantCode(t, what+" without "+p, try(t, what, []string{p}), sdk.PermissionDenied)
		}
	}
}

func outcome(what string) sdk.Code {
	if what == "put if absent" { // of a secret that exists
		return sdk.AlreadyExists
	}
	return sdk.OK
}

// try makes a call without some permissions, on a service of its own with the secret "db".
func try(t *testing.T, what string, denied []string) error {
	t.Helper()
	srv := gcpsm.New("acme-prod", number, "")
	st := openStore(t, srv.Listen(t), nil)
	value := sdk.SensitiveString("x")
	if _, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: value}); err != nil {
		t.Fatal(err)
	}
	for _, p := range denied {
		srv.Deny("secretmanager."+p, "")
	}
	var err error
	switch what {
	case "get":
		_, err = st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	case "stat":
		_, err = st.Stat(t.Context(), sdk.StatRequest{Name: "db"})
	case "list":
		_, err = st.List(t.Context(), sdk.ListRequest{PageSize: 1})
	case "versions":
		_, err = st.Versions(t.Context(), sdk.VersionsRequest{Name: "db", PageSize: 1})
	case "put":
		_, err = st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: value})
	case "put of a new":
		_, err = st.Put(t.Context(), sdk.PutRequest{Name: "new", Value: value})
	case "put if absent":
		_, err = st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: value, If: sdk.IfAbsent()})
	case "delete":
		_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "db"})
	}
	return err
}
