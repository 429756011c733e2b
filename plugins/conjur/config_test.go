package main

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// faulty opens a store with settings and gives the paths of its problems.
func faulty(t *testing.T, m set) (paths []string) {
	t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = plugin().Open(t.Context(), sdk.Env{}, raw)
	var e *sdk.Error
	if errors.As(err, &e) {
		for _, p := range e.Problems {
			paths = append(paths, p.Path)
		}
	} else if err != nil {
		t.Errorf("open: %v, want an *sdk.Error", err)
	}
	return paths
}

func base(more set) set {
	m := set{"address": "https://conjur.test", "account": "myorg", "login": "admin", "auth": set{"api_key": set{"key": "k"}}}
	for k, v := range more {
		if v == nil {
			delete(m, k)
			continue
		}
		m[k] = v
	}
	return m
}

func TestBadSettingsAreNamedByTheirPath(t *testing.T) {
	for name, c := range map[string]struct {
		settings set
		want     []string
	}{
		"nothing":                      {set{}, []string{"/address", "/account"}},
		"no URL":                       {base(set{"address": "conjur.test"}), []string{"/address"}},
		"a user in the URL":            {base(set{"address": "https://u:p@conjur.test"}), []string{"/address"}},
		"an account with a colon":      {base(set{"account": "a:b"}), []string{"/account"}},
		"no login":                     {base(set{"login": nil}), []string{"/login"}},
		"no way to log in":             {base(set{"auth": nil}), []string{"/auth"}},
		"two ways":                     {base(set{"auth": set{"api_key": set{"key": "k"}, "cert": set{"service_id": "s"}}}), []string{"/auth"}},
		"ids that climb":               {base(set{"path_prefix": "a/../b", "policy_branch": "a//b"}), []string{"/path_prefix", "/policy_branch"}},
		"a token twice":                {base(set{"auth": set{"jwt": set{"service_id": "s", "token": "t", "token_file": "f"}}}), []string{"/auth/jwt"}},
		"no token":                     {base(set{"auth": set{"jwt": set{"service_id": "s"}}}), []string{"/auth/jwt"}},
		"a token with spaces":          {base(set{"auth": set{"jwt": set{"service_id": "s", "token": "a b"}}}), []string{"/auth/jwt/token"}},
		"a certificate login without":  {base(set{"auth": set{"cert": set{"service_id": "s"}}}), []string{"/auth/cert"}},
		"a certificate without a key":  {base(set{"tls": set{"cert_file": "c"}}), []string{"/tls"}},
		"no PEM":                       {base(set{"tls": set{"ca": "x", "cert": "x", "key": "x"}}), []string{"/tls/ca", "/tls/cert"}},
		"TLS over http":                {base(set{"address": "http://conjur.test", "tls": set{"ca_file": "c"}}), []string{"/tls"}},
		"a user where hosts log in":    {base(set{"auth": set{"iam": set{"service_id": "s"}}}), []string{"/login"}},
		"a service that climbs":        {base(set{"auth": set{"ldap": set{"service_id": "..", "password": "p"}}}), []string{"/auth/ldap/service_id"}},
		"half a key, no region of AWS": {base(set{"login": "host/a", "auth": set{"iam": set{"service_id": "s", "region": "x", "access_key_id": "A"}}}), []string{"/auth/iam/region", "/auth/iam"}},
		"a setting that is none":       {base(set{"acount": "x"}), []string{"/acount"}},
	} {
		if got := faulty(t, c.settings); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems at %q, want %q", name, got, c.want)
		}
	}
}

func TestReachIsTheServerAndWhatTheLoginNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		settings set
		want     sdk.Reach
	}{
		"a key": {base(nil), sdk.Reach{Endpoints: []string{"conjur.test:443"}}},
		"files": {
			base(set{"login": nil, "tls": set{"ca_file": "ca", "cert_file": "c", "key_file": "k"}, "auth": set{"jwt": set{"service_id": "s", "token_file": "t"}}}),
			sdk.Reach{Endpoints: []string{"conjur.test:443"}, Files: []string{"t", "ca", "c", "k"}},
		},
		"a key of AWS": {base(set{"login": "host/a", "auth": set{"iam": set{"service_id": "s", "access_key_id": "A", "secret_access_key": "S"}}}),
			sdk.Reach{Endpoints: []string{"conjur.test:443"}}},
		"a machine of Azure": {base(set{"login": "host/a", "auth": set{"azure": set{"service_id": "s"}}}),
			sdk.Reach{Endpoints: []string{"conjur.test:443", "169.254.169.254:80"}, Ambient: true}},
		"a machine of Google": {base(set{"login": "host/a", "auth": set{"gcp": set{}}}),
			sdk.Reach{Endpoints: []string{"conjur.test:443", "metadata.google.internal:80"}, Ambient: true}},
	} {
		raw, err := json.Marshal(c.settings)
		if err != nil {
			t.Fatal(err)
		}
		o, err := plugin().Open(t.Context(), sdk.Env{}, raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.Reach == nil || !slices.Equal(o.Reach.Endpoints, c.want.Endpoints) || !slices.Equal(o.Reach.Files, c.want.Files) || o.Reach.Ambient != c.want.Ambient {
			t.Errorf("%s: reach %+v, want %+v", name, o.Reach, c.want)
		}
	}
}

func TestWhatIsDeclaredByPolicyNeedsABranch(t *testing.T) {
	f := newFake(t)
	const declared = sdk.CanDelete | sdk.CanPurge | sdk.CanPutLabels
	for branch, want := range map[string]sdk.Capabilities{"": 0, "root": declared} {
		o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, f, set{"policy_branch": branch}))
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Capabilities & declared; got != want || !o.Capabilities.Has(sdk.CanGet|sdk.CanGetVersion|sdk.CanGetBatch|sdk.CanPut) {
			t.Errorf("branch %q: can %v", branch, o.Capabilities)
		}
	}
}

func TestTheCloudServiceHasItsAPIBelowAPath(t *testing.T) {
	for address, want := range map[string]string{
		"https://acme.secretsmgr.cyberark.cloud/":    "https://acme.secretsmgr.cyberark.cloud/api",
		"https://acme.secretsmgr.cyberark.cloud/api": "https://acme.secretsmgr.cyberark.cloud/api",
		"https://conjur.test/":                       "https://conjur.test",
		"https://proxy.test/conjur":                  "https://proxy.test/conjur",
	} {
		s := Settings{Address: address}
		if got := s.base(); got != want {
			t.Errorf("%s: requests go below %s, want %s", address, got, want)
		}
	}
}
