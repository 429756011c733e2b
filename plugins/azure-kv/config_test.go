package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryFaultOfTheSettingsIsToldByItsPath(t *testing.T) {
	secret := set{"client_secret": set{"secret": "s"}}
	vault := "https://kv.vault.azure.net"
	for name, c := range map[string]struct {
		settings set
		want     []string
	}{
		"nothing":             {set{"auth": secret}, []string{"/vault_url", "/tenant_id", "/client_id"}},
		"no login":            {set{"vault_url": vault}, []string{"/auth"}},
		"two logins":          {set{"vault_url": vault, "auth": set{"cli": set{}, "default": set{}}}, []string{"/auth"}},
		"http":                {set{"vault_url": "http://kv.vault.azure.net", "auth": set{"default": set{}}}, []string{"/vault_url"}},
		"a path":              {set{"vault_url": vault + "/secrets", "auth": set{"default": set{}}}, []string{"/vault_url"}},
		"addresses":           {set{"vault_url": vault, "endpoint": "x", "authority_host": "https://u@h", "auth": set{"default": set{}}}, []string{"/endpoint", "/authority_host"}},
		"another cloud":       {set{"vault_url": vault, "cloud": "china", "auth": set{"default": set{}}}, []string{"/cloud"}},
		"no such cloud":       {set{"vault_url": vault, "cloud": "mars", "auth": set{"default": set{}}}, []string{"/cloud"}},
		"no such names":       {set{"vault_url": vault, "names": "upper", "auth": set{"default": set{}}}, []string{"/names"}},
		"a tenant":            {set{"vault_url": vault, "tenant_id": "a b", "auth": set{"default": set{}}}, []string{"/tenant_id"}},
		"a content type":      {set{"vault_url": vault, "content_type": "a\nb", "auth": set{"default": set{}}}, []string{"/content_type"}},
		"authorities":         {set{"vault_url": vault, "tls": set{"ca": "no PEM", "ca_file": "/ca.pem"}, "auth": set{"default": set{}}}, []string{"/tls/ca", "/tls/ca_file"}},
		"an empty secret":     {set{"vault_url": vault, "tenant_id": "t", "client_id": "c", "auth": set{"client_secret": set{"secret": ""}}}, []string{"/auth/client_secret/secret"}},
		"no certificate":      {set{"vault_url": vault, "tenant_id": "t", "client_id": "c", "auth": set{"certificate": set{}}}, []string{"/auth/certificate"}},
		"two certificates":    {set{"vault_url": vault, "tenant_id": "t", "client_id": "c", "auth": set{"certificate": set{"certificate": "x", "file": "/f"}}}, []string{"/auth/certificate"}},
		"a wrong certificate": {set{"vault_url": vault, "tenant_id": "t", "client_id": "c", "auth": set{"certificate": set{"certificate": "canary"}}}, []string{"/auth/certificate/certificate"}},
		"no token":            {set{"vault_url": vault, "auth": set{"workload_identity": set{}}}, []string{"/tenant_id", "/client_id", "/auth/workload_identity"}},
		"two identities":      {set{"vault_url": vault, "client_id": "c", "auth": set{"managed_identity": set{"object_id": "o"}}}, []string{"/auth/managed_identity"}},
		"a subscription":      {set{"vault_url": vault, "auth": set{"cli": set{"subscription": "a;b"}}}, []string{"/auth/cli/subscription"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin().Open(t.Context(), sdk.Env{}, encode(t, c.settings))
			wantCode(t, "open", err, sdk.InvalidArgument)
			var e *sdk.Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			var got []string
			for _, p := range e.Problems {
				got = append(got, p.Path)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("problems at %v, want %v", got, c.want)
			}
		})
	}
}

func TestReachIsTheVaultItsAuthorityAndWhatLoginsRead(t *testing.T) {
	for _, name := range []string{"IDENTITY_ENDPOINT", "MSI_ENDPOINT", "IMDS_ENDPOINT", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Run("settings", reachOfSettings)
	t.Setenv("IDENTITY_ENDPOINT", "http://localhost:40342/metadata/identity/oauth2/token")
	t.Setenv("IMDS_ENDPOINT", "http://localhost:40342")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/projected")
	s := Settings{VaultURL: "https://kv.vault.azure.net", Cloud: "auto", Auth: Auth{Default: &Default{}}}
	want := sdk.Reach{Endpoints: []string{"kv.vault.azure.net:443", "login.microsoftonline.com:443", metadataService, "localhost:40342"}, Files: []string{"/projected", arcKeys}, Ambient: true}
	if got := s.Reach(); !slices.Equal(got.Endpoints, want.Endpoints) || !slices.Equal(got.Files, want.Files) || !got.Ambient {
		t.Errorf("the environment's: got %+v, want %+v", got, want)
	}
}

func reachOfSettings(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want sdk.Reach
	}{
		{Settings{VaultURL: "https://kv.vault.azure.net/", Auth: Auth{ClientSecret: &ClientSecret{}}},
			sdk.Reach{Endpoints: []string{"kv.vault.azure.net:443", "login.microsoftonline.com:443"}}},
		{Settings{VaultURL: "https://kv.vault.usgovcloudapi.net", Auth: Auth{Workload: &Workload{TokenFile: "/token"}}},
			sdk.Reach{Endpoints: []string{"kv.vault.usgovcloudapi.net:443", "login.microsoftonline.us:443"}, Files: []string{"/token"}}},
		{Settings{VaultURL: "https://kv.vault.azure.cn", TLS: TLS{CAFile: "/ca"}, Auth: Auth{Certificate: &Certificate{File: "/pem"}}},
			sdk.Reach{Endpoints: []string{"kv.vault.azure.cn:443", "login.chinacloudapi.cn:443"}, Files: []string{"/ca", "/pem"}}},
		{Settings{VaultURL: "https://kv.vault.azure.net", Endpoint: "https://10.0.0.5:8443", AuthorityHost: "https://login.contoso.example", Auth: Auth{ClientSecret: &ClientSecret{}}},
			sdk.Reach{Endpoints: []string{"10.0.0.5:8443", "login.contoso.example:443"}}},
		{Settings{VaultURL: "https://kv.vault.azure.net", Auth: Auth{Managed: &ManagedIdentity{}}},
			sdk.Reach{Endpoints: []string{"kv.vault.azure.net:443", metadataService}, Ambient: true}},
		{Settings{VaultURL: "https://kv.vault.azure.net", Auth: Auth{CLI: &CLI{}}},
			sdk.Reach{Endpoints: []string{"kv.vault.azure.net:443"}, Ambient: true}},
	} {
		c.s.Cloud = "auto"
		got := c.s.Reach()
		if !slices.Equal(got.Endpoints, c.want.Endpoints) || !slices.Equal(got.Files, c.want.Files) || got.Ambient != c.want.Ambient {
			t.Errorf("%+v: got %+v, want %+v", c.s, got, c.want)
		}
	}
}

func TestOnlyAForeignAuthorityIsTakenAtItsWord(t *testing.T) {
	for authority, want := range map[string]bool{"": true, "https://login.microsoftonline.us": true, "https://login.microsoftonline.com/": true, "https://login.contoso.example": false} {
		s := Settings{VaultURL: "https://kv.vault.azure.net", Cloud: "auto", AuthorityHost: authority}
		if _, discover := s.cloud(); discover != want {
			t.Errorf("authority %q: instance discovery %v, want %v", authority, discover, want)
		}
	}
}
