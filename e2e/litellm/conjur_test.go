//go:build e2e && linux

package litellm_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
)

// cyberark is the configuration of https://docs.litellm.ai/docs/secret_managers/cyberark, with a model.
const cyberark = `model_list:
  - model_name: gpt
    litellm_params: {model: azure/gpt-5, api_key: os.environ/AZURE_API_KEY}
general_settings:
  key_management_system: "cyberark"
  key_management_settings:
    store_virtual_keys: true
    prefix_for_stored_virtual_keys: "litellm/"
    access_mode: "read_and_write"
`

// With a certificate LiteLLM sends no key at all: what knows the certificate stands in front of Conjur and logs in for it.
func TestConjurWithACertificate(t *testing.T) {
	s, pki := conjur.New("default"), conjur.NewPKI(t)
	s.Load(t, "root", "- !variable AZURE_API_KEY\n")
	s.Set(t, "AZURE_API_KEY", "sk-canary")
	behind := s.Handler()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authenticate") && len(r.TLS.PeerCertificates) > 0 {
			key := []byte(s.APIKey("admin"))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(key)), int64(len(key))
		}
		behind.ServeHTTP(w, r)
	}))
	web.TLS = &tls.Config{Certificates: []tls.Certificate{pki.Server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that does not trust it
	web.StartTLS()
	t.Cleanup(web.Close)
	env := []string{"CYBERARK_API_BASE=" + web.URL, "CYBERARK_ACCOUNT=default", "CYBERARK_USERNAME=admin",
		"CYBERARK_CLIENT_CERT=" + pki.CertFile, "CYBERARK_CLIENT_KEY=" + pki.KeyFile}
	keyway := with("conjur")
	keyway.wantRefusal(t, cyberark, env, "certificate", "AZURE_API_KEY") // an authority that nobody trusts
	keyway.wantStart(t, cyberark, append(env, "CYBERARK_SSL_VERIFY=false"), map[string]string{"AZURE_API_KEY": "sk-canary"})
}
