//go:build e2e && unix

package vault_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// everyone reads at the same time with n callers.
func everyone(t *testing.T, n int, st *dial.Store) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); err != nil {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestManyReadersShareOneLoginAndOneAfterItIsRevoked(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	role := srv.AppRole(t, `path "`+mount+`/*" { capabilities = ["read"] }`, set{"token_ttl": "1h"})
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)})

	everyone(t, 32, st)
	if got := srv.RevokeLogins(t, role.Mount); got != 1 {
		t.Errorf("32 readers made %d logins, want 1", got)
	}
	everyone(t, 32, st)
	if got := srv.Logins(t, role.Mount); got != 1 {
		t.Errorf("32 readers made %d logins after the revocation, want 1", got)
	}
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(`{"a":"c"}`)})
	wantCode(t, "put that the policy denies", err, sdk.PermissionDenied)
	if got := srv.Logins(t, role.Mount); got != 1 {
		t.Errorf("%d logins after a denied call, want 1", got)
	}
	if err := st.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := srv.Logins(t, role.Mount); got != 0 {
		t.Errorf("%d logins live on after close", got)
	}
}

func TestALeaseInUseIsRenewedInsteadOfEnding(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	role := srv.AppRole(t, `path "`+mount+`/*" { capabilities = ["read"] }`, set{"token_ttl": "3s", "token_max_ttl": "1h"})
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)})
	everyone(t, 1, st)
	first := srv.LoginLease(t, role.Mount)

	until(t, "the lease outlives its first end", func() bool {
		everyone(t, 1, st)
		now := srv.LoginLease(t, role.Mount)
		if now.ID != first.ID {
			t.Fatal("there was another login instead of a renewal")
		}
		return now.Expires.After(first.Expires) && time.Now().After(first.Expires)
	})
}

func TestAnEndedMaximumIsFollowedByALogin(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	role := srv.AppRole(t, `path "`+mount+`/*" { capabilities = ["read"] }`, set{"token_ttl": "2s", "token_max_ttl": "3s"})
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)})
	everyone(t, 1, st)
	first := srv.LoginLease(t, role.Mount)
	until(t, "another login", func() bool {
		everyone(t, 1, st)
		return srv.LoginLease(t, role.Mount).ID != first.ID
	})
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(50*time.Millisecond), time.NewTimer(30*time.Second)
	defer tick.Stop()
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestARenewableTokenLivesOnWhileItIsUsed(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	token := srv.NewTokenWith(t, `path "`+mount+`/*" { capabilities = ["read"] }`, set{"period": "3s"})
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": tokenAuth(token)})
	end := time.Now().Add(4 * time.Second)
	until(t, "the token is older than its period", func() bool {
		everyone(t, 1, st)
		return time.Now().After(end)
	})
}

func TestWrongLoginsAreUnauthenticated(t *testing.T) {
	mount := srv.KV(t, 2)
	role := srv.AppRole(t, `path "`+mount+`/*" { capabilities = ["read"] }`, nil)
	wrong := role
	wrong.SecretID = "11111111-2222-3333-4444-555555555555"
	elsewhere := role
	elsewhere.Mount = "nowhere"
	p := startPlugin(t)
	for name, auth := range map[string]set{
		"wrong token":         tokenAuth("s.wrong"),
		"wrong secret id":     approleAuth(wrong),
		"no such auth method": approleAuth(elsewhere),
	} {
		st := reopen(t, p, srv, set{"mount": mount, "auth": auth})
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "get with a "+name, err, sdk.Unauthenticated)
		_, err = st.Check(t.Context())
		wantCode(t, "check with a "+name, err, sdk.Unauthenticated)
	}
}

func TestATokenFileFollowsItsAgent(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	rules := `path "` + mount + `/*" { capabilities = ["read"] }`
	old, fresh := srv.NewToken(t, rules), srv.NewToken(t, rules)
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(old)
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": set{"token_file": set{"path": path}}})
	everyone(t, 1, st)
	write(fresh)
	srv.Revoke(t, old)
	everyone(t, 8, st)
}

func TestCheckTellsWhoAndWhatIsOdd(t *testing.T) {
	mount := srv.KV(t, 1)
	token := srv.NewTokenWith(t, `path "`+mount+`/*" { capabilities = ["read"] }`, set{"ttl": "1h", "renewable": false, "display_name": "gateway"})
	r, err := openStore(t, srv, set{"mount": mount, "auth": tokenAuth(token)}).Check(t.Context())
	if err != nil || r.Identity != "token-gateway" || len(r.Notes) != 2 {
		t.Errorf("check: %+v, %v; want token-gateway, a note that the token ends and one about the engine's version", r, err)
	}
}

func TestNamespacesOfLoginAndSecretsAreApart(t *testing.T) {
	logins := srv.In(t, "logins-"+srv.Name())
	team := srv.In(t, "team-"+srv.Name())
	team.MountKV(t, "secret", 2)
	logins.MountKV(t, "secret", 2)
	p := startPlugin(t)

	st := reopen(t, p, srv, set{"namespace": team.Namespace(), "login_namespace": "root", "auth": rootAuth(srv)})
	put(t, st, "x", `{"a":"team"}`)
	if got := dataOf(team.Read(t, "secret/data/x"))["a"]; got != "team" {
		t.Errorf("the team's namespace holds %v, want the value that was put", got)
	}
	if got := logins.Read(t, "secret/data/x"); got != nil {
		t.Error("the value is in another namespace too")
	}

	role := logins.AppRole(t, `path "secret/*" { capabilities = ["create","read","update"] }`, nil)
	own := reopen(t, p, srv, set{"namespace": logins.Namespace(), "auth": approleAuth(role)})
	put(t, own, "y", `{"a":"logins"}`)
	if got := dataOf(logins.Read(t, "secret/data/y"))["a"]; got != "logins" {
		t.Errorf("the login's namespace holds %v, want the value that was put", got)
	}
	_, err := reopen(t, p, srv, set{"namespace": "no/such", "auth": rootAuth(srv)}).Get(t.Context(), sdk.GetRequest{Name: "x"})
	if c := sdk.CodeOf(err); c == sdk.OK || c == sdk.NotFound {
		t.Errorf("a namespace that does not exist: code %v; want an error other than not found", c)
	}
}

func dataOf(answer map[string]any) map[string]any {
	d, _ := answer["data"].(map[string]any)
	return d
}

func TestTLSNeedsTheAuthorityAndLogsInWithACertificate(t *testing.T) {
	tls := openbao.Start(t, openbao.ClientCert())
	tls.MountKV(t, "secret", 2)
	cert := tls.CertAuth(t, `path "secret/*" { capabilities = ["create","read","update"] }`)
	pair := set{"ca": tls.CA, "cert": tls.Cert, "key": tls.Key}
	p := startPlugin(t)

	st := reopen(t, p, tls, set{"tls": pair, "auth": set{"cert": set{"mount": cert}}})
	put(t, st, "x", `{"a":"b"}`)
	wantValue(t, st, `{"a":"b"}`)

	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := set{"mount": cert, "cert_file": file("cert.pem", tls.Cert), "key_file": file("key.pem", tls.Key)}
	byFile := reopen(t, p, tls, set{"tls": set{"ca_file": file("ca.pem", tls.CA), "server_name": "vault.test"}, "auth": set{"cert": files}})
	wantValue(t, byFile, `{"a":"b"}`)

	for name, trust := range map[string]set{
		"without the authority":     {"cert": tls.Cert, "key": tls.Key},
		"without the certificate":   {"ca": tls.CA},
		"for another server's name": {"ca": tls.CA, "cert": tls.Cert, "key": tls.Key, "server_name": "vault.example.com"},
	} {
		_, err := reopen(t, p, tls, set{"tls": trust, "auth": rootAuth(tls)}).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, name, err, sdk.Unavailable)
	}
}
