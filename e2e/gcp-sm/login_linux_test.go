//go:build e2e && linux

package gcpsm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
)

const account = "gateway@acme-prod.iam.gserviceaccount.com"

// cloud is Google's names, of which the plugin is told none.
var cloud = map[string]string{
	"secretmanager.googleapis.com":                  "127.0.0.20",
	"secretmanager.europe-west3.rep.googleapis.com": "127.0.0.21",
	"sts.googleapis.com":                            "127.0.0.22",
	"iamcredentials.googleapis.com":                 "127.0.0.23",
	"metadata.google.internal":                      "169.254.169.254",
}

// furnish makes a world with Google in it. Tokens that its own endpoints gave are good, and what a service account signs.
func furnish(t *testing.T) (global, regional *gcpsm.Server) {
	t.Helper()
	w := world.Furnish(t, cloud)
	global, regional = gcpsm.New("acme-prod", number, ""), gcpsm.New("acme-prod", number, "europe-west3")
	tls := grpc.Creds(credentials.NewServerTLSFromCert(&w.Certificate))
	t.Cleanup(global.Serve(w.Listen(t, "secretmanager.googleapis.com", "443"), tls))
	t.Cleanup(regional.Serve(w.Listen(t, "secretmanager.europe-west3.rep.googleapis.com", "443"), tls))
	good := func(token string) bool { return strings.HasPrefix(token, "ya29.") || strings.Count(token, ".") == 2 }
	global.Accept(good)
	regional.Accept(good)
	w.Serve(t, "metadata.google.internal", "80", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Metadata-Flavor", "Google")
		switch r.Header.Get("Metadata-Flavor") + r.URL.Path {
		case "Google/computeMetadata/v1/instance/service-accounts/default/token":
			_, _ = io.WriteString(rw, `{"access_token":"ya29.machine","expires_in":3599,"token_type":"Bearer"}`)
		case "Google/computeMetadata/v1/instance/service-accounts/default/email":
			_, _ = io.WriteString(rw, account)
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	})
	w.Serve(t, "sts.googleapis.com", "443", func(rw http.ResponseWriter, r *http.Request) {
		if r.FormValue("subject_token") != "a.subject.token" {
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(rw, `{"error":"invalid_grant"}`)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"access_token":"ya29.federated","token_type":"Bearer","expires_in":3600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`)
	})
	w.Serve(t, "iamcredentials.googleapis.com", "443", func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") || !strings.HasSuffix(r.URL.Path, account+":generateAccessToken") {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(rw, `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`)
			return
		}
		_, _ = fmt.Fprintf(rw, `{"accessToken":"ya29.impersonated","expireTime":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	return global, regional
}

// The program reads a secret with each login, at Google's own addresses, with the plugin confined as in production.
func TestTheProgramReadsWithEveryLogin(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	global, regional := furnish(t)
	hold(t, global, "db", "a-canary")
	hold(t, regional, "db", "a-canary")
	dir := t.TempDir()
	key, federation := write(t, dir, "key.json", serviceAccount(t)), write(t, dir, "federation.json", string(config(t, filepath.Join(dir, "token"))))
	write(t, dir, "token", "a.subject.token")
	env := []string{"GCP_KEY=" + serviceAccount(t), "FEDERATION=" + string(config(t, filepath.Join(dir, "token"))), "SUBJECT=a.subject.token", "TOKEN=ya29.elsewhere"}
	for name, settings := range map[string]string{
		"a key by reference":        "auth: {key: {json: secret://env/GCP_KEY}}",
		"the file of a key":         "auth: {key_file: {path: " + key + "}}",
		"the file of ADC":           "auth: {adc: {file: " + key + "}}",
		"the machine's identity":    "auth: {adc: {}}",
		"a token":                   "auth: {token: {access_token: secret://env/TOKEN}}",
		"a federation":              "auth: {external_account: {config: secret://env/FEDERATION}}",
		"a federation's reference":  "auth: {external_account: {config: secret://env/FEDERATION, subject_token: secret://env/SUBJECT}}",
		"a federation in a file":    "auth: {key_file: {path: " + federation + ", token_file: " + filepath.Join(dir, "token") + "}}",
		"an account by the machine": "impersonate: [" + account + "], auth: {adc: {}}",
		"a location":                "location: europe-west3, auth: {adc: {}}",
	} {
		out, err := world.Keyway(t, "keyway.yaml", keywayYAML(settings), env, "get", "secret://prod/db")
		if err != nil || strings.TrimSpace(out) != "a-canary" {
			t.Errorf("%s: %v, %q; want the value alone", name, err, out)
		}
	}
	for name, c := range map[string]struct{ settings, says string }{
		"a federation of another issuer": {"auth: {external_account: {config: secret://env/FEDERATION, subject_token: secret://env/TOKEN}}", "invalid_grant"},
		"no right to impersonate":        {"impersonate: [other@acme-prod.iam.gserviceaccount.com], auth: {adc: {}}", "roles/iam.serviceAccountTokenCreator"},
		"a token that ended":             {"auth: {token: {access_token: secret://env/SUBJECT_}}", "unauthenticated"},
	} {
		out, err := world.Keyway(t, "keyway.yaml", keywayYAML(c.settings), append(env, "SUBJECT_=expired"), "get", "secret://prod/db")
		if err == nil || !strings.Contains(out, c.says) || strings.Contains(out, "canary") {
			t.Errorf("%s: %v, %q; want %q", name, err, out, c.says)
		}
	}
	out, err := world.Keyway(t, "keyway.yaml", keywayYAML("auth: {adc: {}}"), nil, "stores", "check")
	if err != nil || !strings.Contains(out, account) {
		t.Errorf("stores check: %v, %q; want it to say whom Google takes us for", err, out)
	}
}

// liteLLM is the configuration of LiteLLM's own page about Google Secret Manager.
// https://docs.litellm.ai/docs/secret_managers/google_secret_manager
const liteLLM = `model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_API_KEY
general_settings:
  key_management_system: "google_secret_manager"
`

func TestLiteLLMsConfigurationRunsUnchanged(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	global, _ := furnish(t)
	hold(t, global, "OPENAI_API_KEY", "sk-canary")
	key := write(t, t.TempDir(), "key.json", serviceAccount(t))
	project := "GOOGLE_SECRET_MANAGER_PROJECT_ID=acme-prod"
	for name, env := range map[string][]string{
		"the file of a key":      {project, "GOOGLE_APPLICATION_CREDENTIALS=" + key, "GOOGLE_SECRET_MANAGER_REFRESH_INTERVAL=3600"},
		"GCS's name of it":       {project, "GCS_PATH_SERVICE_ACCOUNT=" + key},
		"the machine's identity": {project},
	} {
		out, err := world.Keyway(t, "config.yaml", liteLLM, env, "run", "--litellm", "config.yaml", "--", "sh", "-c",
			`test "$OPENAI_API_KEY" = sk-canary && cat "$0"`, "{config}")
		if err != nil || !strings.Contains(out, "os.environ/OPENAI_API_KEY") || strings.Contains(out, "canary") {
			t.Errorf("%s: %v; LiteLLM's copy must keep its references and hold no secret:\n%s", name, err, out)
		}
	}
	global.Deny("secretmanager.versions.access", "OPENAI_API_KEY")
	out, err := world.Keyway(t, "config.yaml", liteLLM, []string{project}, "run", "--litellm", "config.yaml", "--", "sh", "-c", "echo it-runs", "{config}")
	if err == nil || strings.Contains(out, "it-runs") || !strings.Contains(out, "secretmanager.versions.access") {
		t.Errorf("without permission: %v\n%s", err, out)
	}
}

// What the provider's page shows is tried here, where Google's address leads to the fake.
func TestTheCommandsOfThePageDoWhatItShows(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	page, err := doctest.Read("../../docs/providers/gcp-sm.md")
	if err != nil {
		t.Fatal(err)
	}
	furnish(t)
	bench := world.Bench(t)
	bench.Run(t, bench.Folder(t), page, nil, func(b doctest.Block) bool { return b.Info == "console e2e" })
}

func keywayYAML(settings string) string {
	return "version: 1\nstores:\n  prod:\n    provider: gcp-sm\n    settings: {project: acme-prod, " + settings + "}\nsources: {env: [\"*\"]}\n"
}

func hold(t *testing.T, srv *gcpsm.Server, id, value string) {
	t.Helper()
	at, about := "projects/acme-prod", &smpb.Secret{Replication: &smpb.Replication{Replication: &smpb.Replication_Automatic_{Automatic: &smpb.Replication_Automatic{}}}}
	if _, err := srv.CreateSecret(t.Context(), &smpb.CreateSecretRequest{Parent: at, SecretId: id, Secret: about}); err != nil {
		at = "projects/acme-prod/locations/europe-west3"
		if _, err := srv.CreateSecret(t.Context(), &smpb.CreateSecretRequest{Parent: at, SecretId: id, Secret: &smpb.Secret{}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := srv.AddSecretVersion(t.Context(), &smpb.AddSecretVersionRequest{Parent: at + "/secrets/" + id, Payload: &smpb.SecretPayload{Data: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// config is a credential configuration as gcloud writes it, for a token in a file.
func config(t *testing.T, token string) []byte {
	t.Helper()
	return marshal(t, set{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/o",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/v1/token",
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + account + ":generateAccessToken",
		"credential_source":                 set{"file": token, "format": set{"type": "text"}},
	})
}

// serviceAccount makes a key as Google's console gives it.
func serviceAccount(t *testing.T) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(marshal(t, set{
		"type": "service_account", "project_id": "acme-prod", "private_key_id": "1", "client_email": account, "token_uri": "https://oauth2.googleapis.com/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}))
}

func marshal(t *testing.T, s set) []byte {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
