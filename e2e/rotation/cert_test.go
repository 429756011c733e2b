//go:build e2e && unix

package rotation_test

import (
	"os"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
)

// TestAClientCertificateIsReplacedUnderReads renews the certificate of a key that stays.
func TestAClientCertificateIsReplacedUnderReads(t *testing.T) {
	pki := conjur.NewPKI(t)
	srv := conjur.StartTLS(t, pki.Server)
	srv.Load(t, "root", "- !host gateway\n- !variable openai\n- !permit\n  role: !host gateway\n  privileges: [read, execute]\n  resource: !variable openai\n")
	srv.Set(t, "openai", "a value")
	srv.Accept("authn-cert", "vms", "gw", "host/gateway")
	srv.Accept("authn-cert", "vms", "renewed", "host/gateway")
	text := func(path string) string {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	dir := t.TempDir()
	replace(t, dir, "cert.pem", text(pki.CertFile))
	replace(t, dir, "key.pem", text(pki.KeyFile))
	g := open(t, dir, "conjur", set{
		"address": srv.URL, "account": srv.Account, "login": "host/gateway", "auth": set{"cert": set{"service_id": "vms"}},
		"tls": set{"ca": text(pki.CAFile), "cert": "secret://file/cert.pem", "key": "secret://file/key.pem"}})
	logins := func() int { return srv.Count("POST /authn-cert/") }
	underReads(t, g, "openai", "a value", func(r *readers) {
		wantLogins(t, "before the change", logins(), 1)
		pki.Renew(t, "renewed")
		replace(t, dir, "cert.pem", text(pki.CertFile))
		until(t, "the new certificate has logged in", func() bool { return logins() > 1 })
		r.turn()
		srv.Refuse("authn-cert", "vms", "gw")
		r.turn()
	})
	wantLogins(t, "after one change", logins(), 2)
}
