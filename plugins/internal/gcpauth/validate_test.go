package gcpauth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

type set = map[string]any

func text(t *testing.T, s set) sdk.Sensitive {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return sdk.NewSensitive(raw)
}

// with gives s with more or others.
func with(s, more set) set {
	s = maps.Clone(s)
	maps.Copy(s, more)
	return s
}

func serviceAccount(t *testing.T) set {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return set{
		"type": "service_account", "project_id": "acme", "private_key_id": "k1", "client_email": "gateway@acme.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

var federation = set{
	"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/o",
	"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
	"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/gateway@acme.iam.gserviceaccount.com:generateAccessToken",
	"credential_source":                 set{"file": "/var/run/token"},
}

func paths(ps []sdk.Problem) (out []string) {
	for _, p := range ps {
		out = append(out, p.Path)
	}
	return out
}

func TestFaultsOfTheSettingsAreToldAtTheirPath(t *testing.T) {
	secret := "do-not-quote-me"
	key, adc := text(t, set{"type": "service_account", "client_email": "a@b.c"}), Auth{ADC: &ADC{}}
	for _, c := range []struct {
		name string
		s    Settings
		want []string
	}{
		{"defaults", Settings{Auth: adc}, nil},
		{"everything", Settings{Location: "europe-west3", UniverseDomain: "example.com", Impersonate: []string{"a@b.iam.gserviceaccount.com"}, Auth: adc}, nil},
		{"plaintext on this machine", Settings{Endpoint: "http://127.0.0.1:1", Auth: Auth{None: &None{}}}, nil},
		{"plaintext elsewhere", Settings{Endpoint: "http://example.com", Auth: adc}, []string{"/endpoint"}},
		{"no login elsewhere", Settings{Endpoint: "https://example.com", Auth: Auth{None: &None{}}}, []string{"/auth/none"}},
		{"no login to impersonate with", Settings{Endpoint: "http://[::1]:1", Impersonate: []string{"a@b.c"}, Auth: Auth{None: &None{}}}, []string{"/impersonate"}},
		{"an endpoint that is none", Settings{Endpoint: "secretmanager.googleapis.com", Auth: adc}, []string{"/endpoint"}},
		{"an endpoint with a path", Settings{Endpoint: "https://example.com/v1", Auth: adc}, []string{"/endpoint"}},
		{"many at once", Settings{Location: "Europe", UniverseDomain: "x", Impersonate: []string{"a@b.c", "me"}, Auth: adc}, []string{"/universe_domain", "/location", "/impersonate/1"}},
		{"a key", Settings{Auth: Auth{Key: &Key{key}}}, nil},
		{"a key that is no JSON", Settings{Auth: Auth{Key: &Key{sdk.SensitiveString(secret)}}}, []string{"/auth/key/json"}},
		{"a key of no account", Settings{Auth: Auth{Key: &Key{text(t, set{"type": "service_account"})}}}, []string{"/auth/key/json"}},
		{"a key of another universe", Settings{Auth: Auth{Key: &Key{text(t, set{"type": "service_account", "client_email": "a@b.c", "universe_domain": "example.com"})}}}, []string{"/auth/key/json"}},
		{"a federation as a key", Settings{Auth: Auth{Key: &Key{text(t, federation)}}}, []string{"/auth/key/json"}},
		{"a federation", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, federation)}}}, nil},
		{"a federation by command", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, with(federation, set{"credential_source": set{"executable": set{"command": secret}}}))}}}, []string{"/auth/external_account/config"}},
		{"a federation by certificate", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, with(federation, set{"credential_source": set{"certificate": set{}}}))}}}, []string{"/auth/external_account/config"}},
		{"a federation without a source", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, with(federation, set{"credential_source": nil}))}}}, []string{"/auth/external_account/config"}},
		{"a federation over plaintext", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, with(federation, set{"token_url": "http://sts.example.com"}))}}}, []string{"/auth/external_account/config"}},
		{"a token with a space", Settings{Auth: Auth{Token: &Token{sdk.SensitiveString(secret + " x")}}}, []string{"/auth/token/access_token"}},
	} {
		got := c.s.Validate()
		if !slices.Equal(paths(got), c.want) {
			t.Errorf("%s: faults at %q, want %q", c.name, paths(got), c.want)
		}
		for _, p := range got {
			if strings.Contains(p.Message, secret) {
				t.Errorf("%s: the message quotes the setting", c.name)
			}
		}
	}
}

func TestReachNamesWhatALoginAsksAndReads(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("CLOUDSDK_CONFIG", "")
	t.Setenv("GCE_METADATA_HOST", "")
	google := []string{"iamcredentials.googleapis.com:443", "oauth2.googleapis.com:443", "sts.googleapis.com:443"}
	const own = "secretmanager.googleapis.com:443"
	aws := with(federation, set{"service_account_impersonation_url": "", "credential_source": set{
		"environment_id": "aws1", "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone", "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
	}})
	for _, c := range []struct {
		name string
		s    Settings
		want sdk.Reach
	}{
		{"no login", Settings{Endpoint: "http://127.0.0.1:8080", Auth: Auth{None: &None{}}}, sdk.Reach{Endpoints: []string{"127.0.0.1:8080"}}},
		{"a region", Settings{Location: "europe-west3", Auth: Auth{Token: &Token{}}}, sdk.Reach{Endpoints: []string{"secretmanager.europe-west3.rep.googleapis.com:443"}}},
		{"a universe", Settings{UniverseDomain: "example.com", Impersonate: []string{"a@b.c"}, Auth: Auth{Token: &Token{}}}, sdk.Reach{Endpoints: []string{"secretmanager.example.com:443", "iamcredentials.example.com:443"}}},
		{"a key", Settings{Auth: Auth{Key: &Key{text(t, set{"type": "service_account", "client_email": "a@b.c"})}}}, sdk.Reach{Endpoints: []string{own}}},
		{"a user", Settings{Auth: Auth{Key: &Key{text(t, set{"type": "authorized_user"})}}}, sdk.Reach{Endpoints: []string{own, "oauth2.googleapis.com:443"}}},
		{"a file", Settings{Auth: Auth{KeyFile: &KeyFile{Path: "/k", TokenFile: "/t"}}}, sdk.Reach{Endpoints: append([]string{own}, google...), Files: []string{"/k", "/t"}}},
		{"the machine", Settings{Auth: Auth{ADC: &ADC{}}}, sdk.Reach{Endpoints: append([]string{own, "169.254.169.254:80"}, google...), Ambient: true, Files: []string{home + "/.config/gcloud/application_default_credentials.json"}}},
		{"a machine elsewhere", Settings{Auth: Auth{ADC: &ADC{File: "/k", MetadataHost: "127.0.0.1:9"}}}, sdk.Reach{Endpoints: append([]string{own, "127.0.0.1:9"}, google...), Ambient: true, Files: []string{"/k"}}},
		{"a federation", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, federation)}}}, sdk.Reach{Endpoints: []string{own, google[0], google[2]}, Files: []string{"/var/run/token"}}},
		{"a federation with its token", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, federation), SubjectToken: sdk.SensitiveString("x")}}}, sdk.Reach{Endpoints: []string{own, google[0], google[2]}}},
		{"a federation with AWS", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, aws)}}}, sdk.Reach{Endpoints: []string{own, "169.254.169.254:80", google[2]}, Ambient: true}},
	} {
		c.s.Service = "secretmanager"
		got := c.s.Reach()
		if !slices.Equal(got.Endpoints, c.want.Endpoints) || !slices.Equal(got.Files, c.want.Files) || got.Ambient != c.want.Ambient {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, c.want)
		}
	}
}
