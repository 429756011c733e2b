package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
	"github.com/keyway-dev/keyway/sdk"
)

const readable = "others/readable"

// reads opens a store and reads with it.
func reads(t *testing.T, f *conjur.Server, more set) error {
	t.Helper()
	_, err := openStore(t, f, more).Get(t.Context(), sdk.GetRequest{Name: readable})
	return err
}

func readAtOnce(t *testing.T, st *store) {
	t.Helper()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { wantValue(t, st, sdk.GetRequest{Name: readable}, "a value") })
	}
	wg.Wait()
}

func TestReadersShareOneLogin(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, nil)
	readAtOnce(t, st)
	if n := f.Count("POST /authn/myorg/host%2Fgateway/authenticate"); n != 1 {
		t.Errorf("%d logins for 32 readers, want 1, with the slash of the host escaped", n)
	}
	f.Forget()
	readAtOnce(t, st)
	if n := f.Count("POST /authn"); n != 2 {
		t.Errorf("%d logins after the tokens were made invalid once, want 2", n)
	}
}

func TestATokenThatEndedIsReplaced(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, nil)
	wantValue(t, st, sdk.GetRequest{Name: readable}, "a value")
	f.Pass(conjur.TokenLife)
	wantValue(t, st, sdk.GetRequest{Name: readable}, "a value")
}

func TestARefusalOfThePrivilegeCostsNoLogin(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, nil)
	for range 3 {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "others/locked"})
		wantCode(t, "get without execute", err, sdk.PermissionDenied)
		if !strings.Contains(err.Error(), "execute on variable others/locked") {
			t.Errorf("get: %v, want the privilege that is needed", err)
		}
	}
	if n := f.Count("POST /authn"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestWrongCredentialsAreUnauthenticatedAndNotTriedAgainAtOnce(t *testing.T) {
	f := newFake(t)
	for name, more := range map[string]set{
		"a wrong key":         {"auth": set{"api_key": set{"key": "canary-key"}}},
		"an unknown user":     {"login": "nobody"},
		"an unknown account":  {"account": "other"},
		"a wrong token":       {"login": nil, "auth": set{"jwt": set{"service_id": "k8s", "token": "canary.jwt"}}},
		"an unknown password": {"login": "alice", "auth": set{"ldap": set{"service_id": "ad", "password": "canary-password"}}},
	} {
		before := f.Count("POST /authn")
		st := openStore(t, f, more)
		for range 3 {
			_, err := st.Get(t.Context(), sdk.GetRequest{Name: readable})
			wantCode(t, name, err, sdk.Unauthenticated)
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error tells the credential", name)
			}
		}
		if n := f.Count("POST /authn") - before; n != 1 {
			t.Errorf("%s: %d logins for three reads, want 1", name, n)
		}
	}
}

func TestAKeyThatWasRotatedServesUntilItsTokenEnds(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, nil)
	wantValue(t, st, sdk.GetRequest{Name: readable}, "a value")
	fresh := f.Rotate("host/gateway")
	wantValue(t, st, sdk.GetRequest{Name: readable}, "a value")
	f.Forget()
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: readable})
	wantCode(t, "get with the old key", err, sdk.Unauthenticated)
	wantCode(t, "get with the new key", reads(t, f, set{"auth": set{"api_key": set{"key": fresh}}}), sdk.OK)
}

func TestATokenLogsInAndItsFileIsReadEachTime(t *testing.T) {
	f := newFake(t)
	f.Accept("authn-jwt", "k8s", "first.jwt", "host/gateway")
	jwt := set{"service_id": "k8s", "token": "first.jwt"}
	wantCode(t, "a token that tells the host", reads(t, f, set{"login": nil, "auth": set{"jwt": jwt}}), sdk.OK)
	wantCode(t, "a token for a host", reads(t, f, set{"login": "gateway", "auth": set{"jwt": jwt}}), sdk.OK)
	for _, path := range []string{"/authn-jwt/k8s/myorg/authenticate", "/authn-jwt/k8s/myorg/host%2Fgateway/authenticate"} {
		if f.Count("POST "+path) != 1 {
			t.Errorf("no login at %s", path)
		}
	}
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first.jwt\n")
	st := openStore(t, f, set{"login": nil, "auth": set{"jwt": set{"service_id": "k8s", "token_file": file}}})
	wantValue(t, st, sdk.GetRequest{Name: readable}, "a value")
	f.Refuse("authn-jwt", "k8s", "first.jwt")
	f.Accept("authn-jwt", "k8s", "second.jwt", "host/gateway")
	write("second.jwt")
	f.Forget()
	readAtOnce(t, st)
	for _, text := range []string{"", "no token"} {
		write(text)
		wantCode(t, "a file that holds no token", reads(t, f, set{"auth": set{"jwt": set{"service_id": "k8s", "token_file": file}}}), sdk.Unauthenticated)
	}
}

func TestACertificateLogsInAndIsReadAtEachHandshake(t *testing.T) {
	pki := conjur.NewPKI(t)
	f := conjur.StartTLS(t, pki.Server)
	f.Load(t, "root", gatewayPolicy)
	f.Set(t, readable, "a value")
	f.Accept("authn-cert", "vms", conjur.SPIFFE, "host/gateway")
	tls := set{"ca_file": pki.CAFile, "cert_file": pki.CertFile, "key_file": pki.KeyFile}
	cert := set{"cert": set{"service_id": "vms"}}
	st := openStore(t, f, set{"tls": tls, "auth": cert})
	readAtOnce(t, st)
	wantCode(t, "the certificate tells the host", reads(t, f, set{"login": nil, "tls": tls, "auth": cert}), sdk.OK)
	for _, path := range []string{"/authn-cert/vms/myorg/authenticate", "/authn-cert/vms/myorg/host%2Fgateway/authenticate"} {
		if f.Count("POST "+path) != 1 {
			t.Errorf("no login at %s", path)
		}
	}
	f.Refuse("authn-cert", "vms", conjur.SPIFFE)
	f.Accept("authn-cert", "vms", "renewed", "host/gateway")
	pki.Renew(t, "renewed")
	st.http.CloseIdleConnections()
	f.Forget()
	readAtOnce(t, st)
}

func TestAServerIsTrustedOnlyByItsCertificate(t *testing.T) {
	pki := conjur.NewPKI(t)
	f := conjur.StartTLS(t, pki.Server)
	f.Load(t, "root", gatewayPolicy)
	f.Set(t, readable, "a value")
	ca, err := os.ReadFile(pki.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tls  set
		want sdk.Code
	}{
		"unknown authority": {nil, sdk.Unavailable},
		"its text":          {set{"ca": string(ca)}, sdk.OK},
		"its file":          {set{"ca_file": pki.CAFile}, sdk.OK},
		"another name":      {set{"ca_file": pki.CAFile, "server_name": "conjur.test"}, sdk.Unavailable},
		"no file":           {set{"ca_file": pki.CAFile + ".none"}, sdk.Unavailable},
		"not verified":      {set{"verify": false}, sdk.OK},
	} {
		before := f.Count("POST")
		wantCode(t, name, reads(t, f, set{"tls": c.tls}), c.want)
		if n := f.Count("POST") - before; c.want != sdk.OK && n != 0 {
			t.Errorf("%s: %d logins were sent to a server that is not trusted", name, n)
		}
	}
}

func TestTheCertificateAloneLogsInAtTheDefaultAuthenticator(t *testing.T) {
	pki := conjur.NewPKI(t)
	f := conjur.StartTLS(t, pki.Server)
	err := reads(t, f, set{"login": "admin", "auth": nil, "tls": set{"ca_file": pki.CAFile, "cert_file": pki.CertFile, "key_file": pki.KeyFile}})
	wantCode(t, "get", err, sdk.Unauthenticated) // Conjur itself wants a key there
	requests := f.Requests()
	if len(requests) != 1 || requests[0].Path != "/authn/myorg/admin/authenticate" || requests[0].Body != 0 {
		t.Errorf("requests %+v, want one login without a body", requests)
	}
}

func TestIdentitiesOfCloudsLogIn(t *testing.T) {
	f := newFake(t)
	f.Accept("authn-iam", "prod", "AKIDEXAMPLE", "host/gateway")
	f.Accept("authn-azure", "prod", "azure.jwt", "host/gateway")
	f.Accept("authn-gcp", "", "gcp.jwt", "host/gateway")
	f.Accept("authn-ldap", "ad", "pass word", "host/gateway")
	var seen atomic.Pointer[http.Request]
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		switch {
		case r.Header.Get("Metadata") == "true" && strings.HasPrefix(r.URL.Path, "/metadata/"):
			_, _ = io.WriteString(w, `{"access_token":"azure.jwt"}`)
		case r.Header.Get("Metadata-Flavor") == "Google" && r.URL.Query().Get("audience") == "conjur/myorg/host/gateway":
			_, _ = io.WriteString(w, "gcp.jwt\n")
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer metadata.Close()
	for name, auth := range map[string]set{
		"iam":   {"iam": set{"service_id": "prod", "region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}},
		"azure": {"azure": set{"service_id": "prod", "client_id": "some-id", "metadata_endpoint": metadata.URL}},
		"gcp":   {"gcp": set{"metadata_endpoint": metadata.URL}},
		"ldap":  {"ldap": set{"service_id": "ad", "password": "pass word"}},
	} {
		wantCode(t, name, reads(t, f, set{"auth": auth}), sdk.OK)
		if r := seen.Load(); name == "azure" && (r == nil || r.URL.Query().Get("client_id") != "some-id") {
			t.Error("azure: the metadata service was not asked for the identity")
		}
	}
	wantCode(t, "a machine without an identity", reads(t, f, set{"login": "host/other", "auth": set{"gcp": set{"metadata_endpoint": metadata.URL}}}), sdk.Unauthenticated)
}
