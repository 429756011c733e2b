package main

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestFaultsOfTheSettingsAreToldAtTheirPath(t *testing.T) {
	global := "projects/a/locations/global/keyRings/r/cryptoKeys/k"
	europe := strings.Replace(global, "global", "europe-west1", 1)
	for _, c := range []struct {
		name string
		more set
		want []string
	}{
		{"the least", nil, nil},
		{"a number", set{"project": "892942638129"}, nil},
		{"an old domain", set{"project": "example.com:acme-prod"}, nil},
		{"no project", set{"project": ""}, []string{"/project"}},
		{"a path as project", set{"project": "projects/acme"}, []string{"/project"}},
		{"a prefix with a slash", set{"prefix": "a/"}, []string{"/prefix"}},
		{"an escaped prefix with a slash", set{"prefix": "a/", "names": "escaped"}, nil},
		{"a key", set{"kms_key": global}, nil},
		{"a key version", set{"kms_key": global + "/cryptoKeyVersions/1"}, []string{"/kms_key"}},
		{"a key of a location", set{"kms_key": europe}, []string{"/kms_key"}},
		{"a regional key", set{"kms_key": europe, "location": "europe-west1"}, nil},
		{"a key of another location", set{"kms_key": europe, "location": "europe-west3"}, []string{"/kms_key"}},
		{"replicas", set{"replicas": []set{{"location": "europe-west1", "kms_key": europe}}}, nil},
		{"replicas with a key beside them", set{"kms_key": global, "replicas": []set{{"location": "europe-west1"}}}, []string{"/kms_key"}},
		{"replicas of which one has a key", set{"replicas": []set{{"location": "europe-west1", "kms_key": europe}, {"location": "europe-west3"}}}, []string{"/replicas/1/kms_key"}},
		{"replicas of a location", set{"location": "europe-west1", "replicas": []set{{"location": "europe-west1"}}}, []string{"/replicas"}},
		{"labels", set{"labels": set{"Team": "a"}, "annotations": set{"-": "a"}}, []string{"/annotations", "/labels"}},
		{"plaintext elsewhere", set{"endpoint": "http://example.com"}, []string{"/auth/none", "/endpoint"}},
		{"an unknown setting", set{"project_id": "acme"}, []string{"/project_id"}},
	} {
		_, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "127.0.0.1:1", c.more))
		var got []string
		if e := new(sdk.Error); errors.As(err, &e) {
			for _, p := range e.Problems {
				got = append(got, p.Path)
			}
		}
		slices.Sort(got)
		if !slices.Equal(slices.Compact(got), c.want) {
			t.Errorf("%s: faults at %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

func TestTheServiceIsWhereTheSettingsSay(t *testing.T) {
	for _, c := range []struct {
		more set
		want string
	}{
		{nil, "secretmanager.googleapis.com:443"},
		{set{"location": "europe-west3"}, "secretmanager.europe-west3.rep.googleapis.com:443"},
		{set{"universe_domain": "example.com"}, "secretmanager.example.com:443"},
		{set{"endpoint": "https://10.0.0.8"}, "10.0.0.8:443"},
	} {
		all := set{"project": "acme-prod", "auth": set{"token": set{"access_token": "x"}}}
		maps.Copy(all, c.more)
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		o, err := plugin().Open(t.Context(), sdk.Env{}, raw)
		if err != nil {
			t.Fatalf("%v: %v", c.more, err)
		}
		if got := o.Reach.Endpoints; !slices.Equal(got, []string{c.want}) {
			t.Errorf("%v: reaches %q, want %q", c.more, got, c.want)
		}
		_ = o.Store.Close(t.Context())
	}
}

func TestNamesThatGoogleCannotHoldAreRefusedBeforeAnyCall(t *testing.T) {
	srv, st := newStore(t, nil)
	for _, name := range []string{"a/b", "a.b", "ä", "a b", strings.Repeat("n", maxName+1)} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
		wantCode(t, "get "+name, err, sdk.InvalidArgument)
		_, err = st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString("x")})
		wantCode(t, "put "+name, err, sdk.InvalidArgument)
		_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: name})
		wantCode(t, "delete "+name, err, sdk.InvalidArgument)
	}
	for _, version := range []string{"0", "01", "1a", "a/b", "-1", "99999999999999999999"} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "a", Version: version})
		wantCode(t, "get version "+version, err, sdk.InvalidArgument)
	}
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls reached the service, want none", n)
	}
}

func TestEscapedNamesAreReversibleAndNeverMeet(t *testing.T) {
	st := &store{s: Settings{Names: "escaped", Prefix: "gw/"}}
	seen := map[string]string{}
	for _, name := range []string{"a", "a/b", "a_b", "a.b", "a_2fb", "a-b", "A", "ä", "_", "a/b/c"} {
		s, err := st.secret("test", name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if other, ok := seen[s.id]; ok {
			t.Errorf("%q and %q are both %q", name, other, s.id)
		}
		seen[s.id] = name
		if back, ok := st.name(s.id); !ok || back != name {
			t.Errorf("%q became %q, and that %q", name, s.id, back)
		}
	}
	if got := seen["gw_2fa_2fb"]; got != "a/b" {
		t.Errorf("gw_2fa_2fb is %q, want a/b", got)
	}
	for _, id := range []string{"gw_2fa_2Fb", "gw_2fa_", "gw_2fa_2", "gw_2fa_61", "other", "gw_2f", "gw_2fa_zz"} {
		if name, ok := st.name(id); ok {
			t.Errorf("%q is the name %q, want none: no name becomes it", id, name)
		}
	}
}
