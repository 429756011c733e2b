package source

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// jwt is a token that ends then; its signature is the canary.
func jwt(then time.Time) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, then.Unix())) + "." + canary
}

func soon() time.Time { return time.Now().Add(time.Hour).Truncate(time.Second) }

func TestGoogleAsksTheMetadataService(t *testing.T) {
	then := soon()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/identity" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if a := r.URL.Query().Get("audience"); a != "https://aud/a?b=c" {
			t.Errorf("audience %q", a)
		}
		_, _ = w.Write([]byte(jwt(then) + "\n"))
	}))
	defer srv.Close()
	s := open(t, Options{Env: environ("GCE_METADATA_HOST", strings.TrimPrefix(srv.URL, "http://"))})
	got, err := s.OIDC(t.Context(), "google", "https://aud/a?b=c")
	want(t, "google", got, err, jwt(then), sdk.OK)
	if !got.Expires.Equal(then) {
		t.Errorf("Expires %v, want the token's %v", got.Expires, then)
	}
}

func TestGitHubAsksTheRunner(t *testing.T) {
	token := jwt(soon())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer runner" || r.URL.Query().Get("api") != "2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"value":%q}`, token)
	}))
	defer srv.Close()
	s := open(t, Options{Env: environ("ACTIONS_ID_TOKEN_REQUEST_URL", srv.URL+"/x?api=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")})
	got, err := s.OIDC(t.Context(), "github", "sts.amazonaws.com")
	want(t, "github", got, err, token, sdk.OK)
}

func TestTokenServicesThatFail(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		code   sdk.Code
	}{
		{"500", status500, sdk.Unavailable},
		{"403", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, sdk.PermissionDenied},
		{"404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, sdk.NotFound},
		{"429", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, sdk.ResourceExhausted},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, sdk.Internal},
		{"empty", func(http.ResponseWriter, *http.Request) {}, sdk.FailedPrecondition},
		{"endless", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxToken+1)) }, sdk.DataLoss},
		{"expired", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(jwt(time.Now().Add(-time.Minute))))
		}, sdk.FailedPrecondition},
	} {
		srv := httptest.NewServer(c.answer)
		s := open(t, Options{Env: environ("GCE_METADATA_HOST", strings.TrimPrefix(srv.URL, "http://"))})
		got, err := s.OIDC(t.Context(), "google", "a")
		want(t, c.name, got, err, "", c.code)
		srv.Close()
	}
}

func status500(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte(canary))
}

func TestAnUnreachableServiceIsUnavailableAndTellsNoAddress(t *testing.T) {
	srv := httptest.NewServer(nil)
	address := srv.URL
	srv.Close()
	s := open(t, Options{Env: environ("ACTIONS_ID_TOKEN_REQUEST_URL", address+"/?k="+canary, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", canary)})
	got, err := s.OIDC(t.Context(), "github", "a")
	want(t, "github", got, err, "", sdk.Unavailable)
}

func TestTokensOfThePlace(t *testing.T) {
	dir := t.TempDir()
	token := jwt(soon())
	write(t, dir+"/token", token+"\n")
	write(t, dir+"/opaque", canary)
	write(t, t.TempDir()+"/out", canary)
	env := environ("CIRCLE_OIDC_TOKEN", token, "CIRCLE_OIDC_TOKEN_V2", canary, "AZURE_FEDERATED_TOKEN_FILE", dir+"/token",
		"TOKEN", token, "TOKEN_FILE", dir+"/token", "OTHER_FILE", "/etc/hostname", "LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS", "relative, "+dir)
	s := open(t, Options{Env: env})
	for _, c := range []struct {
		provider, audience, value string
		code                      sdk.Code
	}{
		{"circleci", "", token, sdk.OK},
		{"circleci_v2", "ignored", canary, sdk.OK},
		{"azure", "https://scope/.default", token, sdk.OK},
		{"env", "TOKEN", token, sdk.OK},
		{"env", "NONE", "", sdk.NotFound},
		{"env", "", "", sdk.InvalidArgument},
		{"env_path", "TOKEN_FILE", token, sdk.OK},
		{"env_path", "OTHER_FILE", "", sdk.PermissionDenied},
		{"env_path", "NONE", "", sdk.NotFound},
		{"file", dir + "/token", token, sdk.OK},
		{"file", dir + "/opaque", canary, sdk.OK},
		{"file", dir + "/none", "", sdk.NotFound},
		{"file", dir + "/../x", "", sdk.PermissionDenied},
		{"file", dir, "", sdk.InvalidArgument},
		{"file", "token", "", sdk.InvalidArgument},
		{"file", "/etc/hostname", "", sdk.PermissionDenied},
		{"google", "", "", sdk.InvalidArgument},
		{"github", "a", "", sdk.NotFound},
		{"okta", "a", "", sdk.InvalidArgument},
	} {
		got, err := s.OIDC(t.Context(), c.provider, c.audience)
		want(t, "oidc/"+c.provider+"/"+c.audience, got, err, c.value, c.code)
	}
}

func TestOIDCEnvObeysTheSameList(t *testing.T) {
	s := open(t, Options{Env: environ("TOKEN", canary), EnvPatterns: []string{"OPENAI_*"}})
	got, err := s.OIDC(t.Context(), "env", "TOKEN")
	want(t, "oidc/env/TOKEN", got, err, "", sdk.PermissionDenied)
}

func TestAzureWithoutItsFile(t *testing.T) {
	got, err := open(t, Options{}).OIDC(t.Context(), "azure", "a")
	want(t, "unset", got, err, "", sdk.NotFound)
	got, err = open(t, Options{Env: environ("AZURE_FEDERATED_TOKEN_FILE", "relative")}).OIDC(t.Context(), "azure", "a")
	want(t, "relative", got, err, "", sdk.InvalidArgument)
}

func TestGitHubWantsHTTPS(t *testing.T) {
	s := open(t, Options{Env: environ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://192.0.2.1/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", canary)})
	got, err := s.OIDC(t.Context(), "github", "a")
	want(t, "plain http", got, err, "", sdk.InvalidArgument)
}
