package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSettingsAreRefusedWithTheirPath(t *testing.T) {
	token := map[string]any{"token": map[string]any{"token": "t"}}
	for name, tc := range map[string]struct {
		set  map[string]any
		path string
	}{
		"no scheme":               {map[string]any{"address": "vault.example.com"}, "/address"},
		"unix socket":             {map[string]any{"address": "unix:///run/vault.sock"}, "/address"},
		"user in the address":     {map[string]any{"address": "https://u:p@vault.example.com"}, "/address"},
		"tls without https":       {map[string]any{"tls": map[string]any{"server_name": "x"}}, "/tls"},
		"mount climbs":            {map[string]any{"mount": "secret/../sys"}, "/mount"},
		"prefix climbs":           {map[string]any{"path_prefix": ".."}, "/path_prefix"},
		"nothing to do":           {map[string]any{"mount": ""}, "/mount"},
		"kv version":              {map[string]any{"kv_version": 3}, "/kv_version"},
		"transit key with slash":  {map[string]any{"transit": "t", "transit_key": "../x"}, "/transit_key"},
		"token with a line break": {map[string]any{"auth": map[string]any{"token": map[string]any{"token": "a\nb"}}}, "/auth/token/token"},
		"namespace climbs":        {map[string]any{"namespace": "a/../b"}, "/namespace"},
		"two kubernetes tokens":   {auth("kubernetes", "role", "r", "token", "t", "token_file", "/f"), "/auth/kubernetes"},
		"no kubernetes role":      {auth("kubernetes"), "/auth/kubernetes/role"},
		"jwt without a token":     {auth("jwt", "role", "r"), "/auth/jwt"},
		"userpass of two parts":   {auth("userpass", "username", "a/b", "password", "canary"), "/auth/userpass/username"},
		"ldap mount climbs":       {auth("ldap", "mount", "../x", "username", "a", "password", "canary"), "/auth/ldap/mount"},
		"half an access key":      {auth("aws", "access_key_id", "AKIAIOSFODNN7EXAMPLE"), "/auth/aws/access_key_id"},
		"no region":               {auth("aws", "region", "Europe"), "/auth/aws/region"},
		"sts is no address":       {auth("aws", "sts_endpoint", "sts.amazonaws.com"), "/auth/aws/sts_endpoint"},
		"gcp key is none":         {auth("gcp", "role", "r", "key", "canary"), "/auth/gcp/key"},
		"gcp key and account":     {auth("gcp", "role", "r", "key", "canary", "service_account", "a@b"), "/auth/gcp/service_account"},
		"azure metadata nowhere":  {auth("azure", "role", "r", "metadata_endpoint", "169.254.169.254"), "/auth/azure/metadata_endpoint"},
		"wrapped with a space":    {auth("approle", "role_id", "r", "secret_id", "a b", "wrapped", true), "/auth/approle/secret_id"},
		"no login":                {map[string]any{"auth": map[string]any{}}, "/auth"},
		"two logins":              {map[string]any{"auth": map[string]any{"token": token["token"], "token_file": map[string]any{"path": "/f"}}}, "/auth"},
		"cert without a pair":     {map[string]any{"address": "https://v", "auth": map[string]any{"cert": map[string]any{}}}, "/auth/cert"},
		"cert file alone":         {map[string]any{"address": "https://v", "auth": map[string]any{"cert": map[string]any{"cert_file": "/c"}}}, "/auth/cert"},
		"ca is no certificate":    {map[string]any{"address": "https://v", "tls": map[string]any{"ca": "hello"}}, "/tls/ca"},
		"key without cert":        {map[string]any{"address": "https://v", "tls": map[string]any{"key": "canary-key"}}, "/tls/cert"},
		"unknown":                 {map[string]any{"addresses": "http://v"}, "/addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "http://127.0.0.1:8200", tc.set))
			wantCode(t, "open", err, sdk.InvalidArgument)
			has := slices.ContainsFunc(asError(err).Problems, func(p sdk.Problem) bool { return p.Path == tc.path })
			if !has {
				t.Errorf("open: problems %v, want one at %s", asError(err).Problems, tc.path)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes a secret: %v", err)
			}
		})
	}
}

func TestCapabilitiesFollowTheSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		set        map[string]any
		has, lacks sdk.Capabilities
	}{
		"version 2": {nil, sdk.CanGet | sdk.CanGetVersion | sdk.CanStat | sdk.CanList | sdk.CanVersions | sdk.CanPut | sdk.CanPutIfAbsent |
			sdk.CanPutIfVersion | sdk.CanPutLabels | sdk.CanDelete | sdk.CanPurge | sdk.CanRestore, sdk.CanEncrypt | sdk.CanDecrypt | sdk.CanAAD | sdk.CanDeleteWindow},
		"version 1":           {map[string]any{"kv_version": 1}, sdk.CanGet | sdk.CanPut | sdk.CanDelete | sdk.CanPurge | sdk.CanList, sdk.CanVersions | sdk.CanPutIfVersion | sdk.CanRestore | sdk.CanGetVersion},
		"a field, version 1":  {map[string]any{"kv_version": 1, "field": "key"}, sdk.CanGet | sdk.CanList, sdk.CanPut | sdk.CanDelete},
		"transit beside":      {map[string]any{"transit": "transit"}, sdk.CanGet | sdk.CanEncrypt | sdk.CanDecrypt | sdk.CanAAD, 0},
		"transit alone":       {map[string]any{"transit": "transit", "mount": ""}, sdk.CanEncrypt | sdk.CanDecrypt | sdk.CanAAD, sdk.CanGet | sdk.CanList | sdk.CanPut},
		"a field, version 2":  {map[string]any{"field": "key"}, sdk.CanPutIfVersion | sdk.CanPurge | sdk.CanRestore, sdk.CanEncrypt},
		"mount is only space": {map[string]any{"transit": "transit", "mount": " / "}, sdk.CanEncrypt, sdk.CanGet},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "http://127.0.0.1:8200", tc.set))
			if err != nil {
				t.Fatal(err)
			}
			if !o.Capabilities.Has(tc.has) || o.Capabilities&tc.lacks != 0 {
				t.Errorf("capabilities %v, want all of %v and none of %v", o.Capabilities, tc.has, tc.lacks)
			}
		})
	}
}

func TestReachNamesServerAndFiles(t *testing.T) {
	for address, want := range map[string]string{
		"https://vault.example.com":      "vault.example.com:443",
		"http://vault.example.com/":      "vault.example.com:80",
		"http://[::1]:8200/proxied/path": "[::1]:8200",
	} {
		s := Settings{Address: address, Auth: Auth{TokenFile: &TokenFile{Path: "/run/token"}}}
		r := s.Reach()
		if !slices.Equal(r.Endpoints, []string{want}) || !slices.Equal(r.Files, []string{"/run/token"}) || r.Ambient {
			t.Errorf("reach of %s: %+v, want %s and the token's file", address, r, want)
		}
	}
}

func TestManifestKnowsLiteLLMsNames(t *testing.T) {
	compat := plugin().Manifest().Compat
	for key, want := range map[string]string{
		"litellm.system":                           "hashicorp_vault",
		"litellm.default./address":                 `"http://127.0.0.1:8200"`,
		"litellm.default./field":                   `"key"`,
		"litellm.order./auth":                      "approle,cert,token",
		"litellm.ttl":                              "HCP_VAULT_REFRESH_INTERVAL,SECRET_MANAGER_REFRESH_INTERVAL",
		"litellm.env.HCP_VAULT_ADDR":               "/address",
		"litellm.env.HCP_VAULT_NAMESPACE":          "/namespace",
		"litellm.env.HCP_VAULT_LOGIN_NAMESPACE":    "/login_namespace",
		"litellm.env.HCP_VAULT_SECRET_NAMESPACE":   "/secret_namespace",
		"litellm.env.HCP_VAULT_TOKEN":              "/auth/token/token",
		"litellm.env.HCP_VAULT_APPROLE_ROLE_ID":    "/auth/approle/role_id",
		"litellm.env.HCP_VAULT_APPROLE_SECRET_ID":  "/auth/approle/secret_id",
		"litellm.env.HCP_VAULT_APPROLE_MOUNT_PATH": "/auth/approle/mount",
		"litellm.env.HCP_VAULT_CLIENT_CERT":        "/auth/cert/cert_file",
		"litellm.env.HCP_VAULT_CLIENT_KEY":         "/auth/cert/key_file",
		"litellm.env.HCP_VAULT_CERT_ROLE":          "/auth/cert/role",
		"litellm.env.HCP_VAULT_MOUNT_NAME":         "/mount",
		"litellm.env.HCP_VAULT_PATH_PREFIX":        "/path_prefix",
	} {
		if compat[key] != want {
			t.Errorf("compat %s is %q, want %q", key, compat[key], want)
		}
	}
}

// What a login dials and reads is declared, so that the host lets it, and no team borrows the gateway's identity by it.
func TestReachFollowsTheLogin(t *testing.T) {
	for name, tc := range map[string]struct {
		set   map[string]any
		files []string
		hosts []string // beside the server
		own   bool
	}{
		"kubernetes":              {auth("kubernetes", "role", "r"), []string{serviceAccount}, nil, false},
		"kubernetes by reference": {auth("kubernetes", "role", "r", "token", "t"), nil, nil, false},
		"jwt in a file":           {auth("jwt", "token_file", "/run/jwt"), []string{"/run/jwt"}, nil, false},
		"ldap":                    {auth("ldap", "username", "u", "password", "p"), nil, nil, false},
		"aws with a key":          {auth("aws", "access_key_id", "AKIAIOSFODNN7EXAMPLE", "secret_access_key", "s"), nil, nil, false},
		"google instance":         {auth("gcp", "role", "r"), nil, []string{"metadata.google.internal:80"}, true},
		"google, signed for":      {auth("gcp", "role", "r", "service_account", "a@b"), nil, []string{"metadata.google.internal:80", "iamcredentials.googleapis.com:443"}, true},
		"azure":                   {auth("azure", "role", "r"), nil, []string{"169.254.169.254:80"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "http://127.0.0.1:8200", tc.set))
			if err != nil {
				t.Fatal(err)
			}
			want := append([]string{"127.0.0.1:8200"}, tc.hosts...)
			if r := o.Reach; !slices.Equal(r.Endpoints, want) || !slices.Equal(r.Files, tc.files) || r.Ambient != tc.own {
				t.Errorf("reach %+v, want endpoints %v, files %v, ambient %v", r, want, tc.files, tc.own)
			}
		})
	}
	o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "http://127.0.0.1:8200", auth("aws")))
	if err != nil || !o.Reach.Ambient {
		t.Errorf("aws without a key: reach %+v, %v; want ambient", o.Reach, err)
	}
}

// A plugin runs in a folder of its own, so the host makes the relative paths absolute that the schema tells it of.
func TestTheHostKnowsWhichSettingsAreFiles(t *testing.T) {
	var schema any
	if err := json.Unmarshal(plugin().Manifest().Schema, &schema); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"tls.ca_file", "auth.cert.cert_file", "auth.cert.key_file", "auth.token_file.path", "auth.kubernetes.token_file", "auth.jwt.token_file"} {
		s := schema
		for k := range strings.SplitSeq(at, ".") {
			object, _ := s.(map[string]any)
			properties, _ := object["properties"].(map[string]any)
			if s = properties[k]; s == nil {
				t.Fatalf("the schema has no %s", at)
			}
		}
		if object, _ := s.(map[string]any); object["format"] != "path" {
			t.Errorf("%s has the format %v, want path", at, object["format"])
		}
	}
}

func TestNothingOfTheEnvironmentCounts(t *testing.T) {
	for k, v := range map[string]string{
		"VAULT_ADDR": "http://192.0.2.1:1", "VAULT_AGENT_ADDR": "http://192.0.2.1:1", "VAULT_TOKEN": "hvs.stolen", "VAULT_NAMESPACE": "theirs",
		"VAULT_SKIP_VERIFY": "true", "VAULT_HEADERS": `{"X-Evil":"1"}`, "VAULT_WRAP_TTL": "60", "VAULT_HTTP_PROXY": "http://192.0.2.1:1",
		"HTTP_PROXY": "http://192.0.2.1:1", "VAULT_MAX_RETRIES": "9", "VAULT_RATE_LIMIT": "1", "VAULT_SRV_LOOKUP": "true",
	} {
		t.Setenv(k, v)
	}
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: reply(200, hello)})
	st := openStore(t, f.URL, nil)
	if _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); err != nil {
		t.Fatalf("get: %v", err)
	}
	for _, r := range f.seen {
		h := r.Header
		if h.Get("X-Vault-Token") != "hvs.canary" || h.Get("X-Vault-Namespace") != "" || h.Get("X-Evil") != "" || h.Get("X-Vault-Wrap-TTL") != "" {
			t.Errorf("%s carries what the environment says: %v", r.URL.Path, h)
		}
	}
	if st.transport.TLSClientConfig.InsecureSkipVerify {
		t.Error("VAULT_SKIP_VERIFY switched verification off")
	}
}

func TestNamespacesOfLoginAndSecretsAreApart(t *testing.T) {
	for name, tc := range map[string]struct {
		set            map[string]any
		login, secrets string
	}{
		"one for both":           {map[string]any{"namespace": " /team/a/ "}, "team/a", "team/a"},
		"the login's is another": {map[string]any{"namespace": "team/a", "login_namespace": "root"}, "", "team/a"},
		"the secrets' is":        {map[string]any{"namespace": "admin", "secret_namespace": "team/a"}, "admin", "team/a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{loginPath: reply(200, `{"auth":{"client_token":"t1","lease_duration":3600}}`), getPath: reply(200, hello)})
			for k, v := range approle() {
				tc.set[k] = v
			}
			st := openStore(t, f.URL, tc.set)
			if _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{healthPath: "", loginPath: tc.login, getPath: tc.secrets} {
				if r := f.last(path); r == nil || r.Header.Get("X-Vault-Namespace") != want {
					t.Errorf("%s: not sent in namespace %q", path, want)
				}
			}
		})
	}
}
