package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

// everyone reads at the same time with 16 callers.
func everyone(t *testing.T, st *store) {
	t.Helper()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { wantValue(t, st, "x", "v") })
	}
	wg.Wait()
}

func TestManyReadersShareOneLoginAndOneAfterItIsRevoked(t *testing.T) {
	s := azurekv.Start(t)
	put(t, opened(t, s, nil), "x", "v")
	st := opened(t, s, nil)
	before := s.Logins()
	everyone(t, st)
	if got := s.Logins() - before; got != 1 {
		t.Errorf("16 readers made %d logins, want 1", got)
	}
	s.RevokeTokens()
	everyone(t, st)
	if got := s.Logins() - before; got != 2 {
		t.Errorf("16 readers made %d logins with the token revoked, want 2", got)
	}
	s.RevokeTokens()
	st.mu.Lock()
	st.renewed = time.Now().Add(time.Hour) // however slow this machine is, five seconds have not passed
	st.mu.Unlock()
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with the token revoked again at once", err, sdk.Unauthenticated)
	if got := s.Logins() - before; got != 2 {
		t.Errorf("%d logins, want none more within five seconds", got)
	}
}

func TestALoginThatIsRefusedSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		more   set
		reason string
		says   string
	}{
		"a wrong secret":         {set{"auth": set{"client_secret": set{"secret": "canary-secret"}}}, "AADSTS7000215", "secret is wrong"},
		"an unknown application": {set{"client_id": "nobody"}, "AADSTS700016", "client_id"},
		"an unknown assertion":   {set{"auth": set{"workload_identity": set{"token": "canary-secret"}}}, "AADSTS700027", "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			st := opened(t, azurekv.Start(t), c.more)
			_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
			wantCode(t, "get", err, sdk.Unauthenticated)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Reason != c.reason || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "canary") {
				t.Errorf("got %v, want reason %s and %q, and not the secret", err, c.reason, c.says)
			}
		})
	}
}

func TestAFailureOfTheAuthorityIsNotARefusal(t *testing.T) {
	s := azurekv.Start(t)
	s.LoginFaults.Always(fault.Fault{Status: 503, RetryAfter: 61 * time.Second})
	_, err := opened(t, s, nil).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get while the authority is down", err, sdk.Unavailable)
	s.LoginFaults.Always(fault.Fault{Status: 429, RetryAfter: 61 * time.Second})
	_, err = opened(t, s, nil).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get while the authority throttles", err, sdk.ResourceExhausted)
	var e *sdk.Error
	if !errors.As(err, &e) || e.RetryAfter != 61*time.Second {
		t.Errorf("%v: retry after %v, want that of the authority", err, e.RetryAfter)
	}
	s.LoginFaults.Always(fault.Fault{Cut: true})
	_, err = opened(t, s, nil).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get while the authority's answers break off", err, sdk.Unavailable)
	s.LoginFaults.Clear()
	_, err = opened(t, s, set{"authority_host": "https://127.0.0.1:1"}).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get without an authority", err, sdk.Unavailable)
}

// pair makes a certificate with its key, both as PEM.
func pair(t *testing.T) (*x509.Certificate, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACertificateLogsInAndItsFileMayBeReplaced(t *testing.T) {
	s := azurekv.Start(t)
	put(t, opened(t, s, nil), "x", "v")
	old, oldPEM := pair(t)
	s.TrustCertificate(old)
	wantValue(t, opened(t, s, set{"auth": set{"certificate": set{"certificate": oldPEM}}}), "x", "v")

	file := filepath.Join(t.TempDir(), "client.pem")
	write(t, file, oldPEM)
	st := opened(t, s, set{"auth": set{"certificate": set{"file": file, "send_chain": true}}})
	wantValue(t, st, "x", "v")
	next, nextPEM := pair(t)
	write(t, file, nextPEM)
	s.TrustCertificate(next)
	s.RevokeTokens()
	everyone(t, st)

	st = opened(t, s, set{"auth": set{"certificate": set{"certificate": oldPEM}}})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with a certificate that is trusted no more", err, sdk.Unauthenticated)
	write(t, file, "nonsense")
	st = opened(t, s, set{"auth": set{"certificate": set{"file": file}}})
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with a file that is no certificate", err, sdk.FailedPrecondition)
}

func TestTokensOfAnotherIssuerAreReadAtEachLogin(t *testing.T) {
	s := azurekv.Start(t)
	put(t, opened(t, s, nil), "x", "v")
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, "projected-1\n")
	s.TrustAssertion("projected-1")
	st := opened(t, s, set{"auth": set{"workload_identity": set{"token_file": file}}})
	wantValue(t, st, "x", "v")
	write(t, file, "projected-2\n")
	s.TrustAssertion("projected-2")
	s.RevokeTokens()
	everyone(t, st)
	wantValue(t, opened(t, s, set{"auth": set{"workload_identity": set{"token": "projected-2"}}}), "x", "v")

	write(t, file, "")
	_, err := opened(t, s, set{"auth": set{"workload_identity": set{"token_file": file}}}).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with an empty token file", err, sdk.Unauthenticated)
}

func TestAStoreWithNewSettingsLogsInWithTheNewSecretWhileTheOldOneReads(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	s.TrustSecret("next")
	wantValue(t, st, "x", "v") // its token is still good
	wantValue(t, opened(t, s, set{"auth": set{"client_secret": set{"secret": "next"}}}), "x", "v")
}

// The client library has PFX files for its own tests, which the module cache keeps.
func TestAPFXIsTakenInBase64(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/Azure/azure-sdk-for-go/sdk/azidentity").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, password string
		ok             bool
	}{{"certificate.pfx", "", true}, {"certificate_encrypted_key.pfx", "password", true}, {"certificate_encrypted_key.pfx", "wrong", false}} {
		raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		text := base64.StdEncoding.EncodeToString(raw)
		_, _, err = parseCertificate(sdk.SensitiveString(text[:60]+"\n"+text[60:]), sdk.SensitiveString(c.password))
		if (err == nil) != c.ok {
			t.Errorf("%s with password %q: %v, want %v", c.file, c.password, err, c.ok)
		}
	}
}

func TestIdentitiesAreReadFromTokensAndNeverTrusted(t *testing.T) {
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for token, want := range map[string]string{
		jwt(`{"upn":"ann@contoso.example","appid":"cli","oid":"1"}`): "ann@contoso.example (object 1)",
		jwt(`{"azp":"app"}`): "application app",
		jwt(`{"xms_mirid":"/subscriptions/s/virtualMachines/vm"}`): "/subscriptions/s/virtualMachines/vm",
		jwt(`[]`):      "",
		"opaque":       "",
		"a.%%%.c":      "",
		jwt(`{"oid":`): "",
	} {
		if got := identityOf(token); got != want {
			t.Errorf("identity %q, want %q", got, want)
		}
	}
}
