//go:build e2e && unix

package vault_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// logins of OpenBao 2.7. It has neither ldap nor the methods of the clouds, which plugins/vault tests on fake endpoints.
type logins struct {
	role       openbao.Role
	userpass   string
	issuer     *openbao.Issuer
	kubernetes *openbao.Cluster
}

func newLogins(t *testing.T, s *openbao.Server, rules string) logins {
	t.Helper()
	return logins{role: s.AppRole(t, rules, nil), userpass: s.Userpass(t, rules, "canary-password"), issuer: s.JWTAuth(t, rules), kubernetes: s.KubernetesAuth(t, rules)}
}

func reading(mount string) string { return `path "` + mount + `/*" { capabilities = ["read"] }` }

// file keeps a text where a login reads it. It is replaced as a kubelet does: by another file of the same name.
func file(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryLoginReadsAndIsRevokedAtTheEnd(t *testing.T) {
	for name, s := range map[string]*openbao.Server{"at the top": srv, "in a namespace": srv.In(t, "logins-"+srv.Name())} {
		t.Run(name, func(t *testing.T) {
			mount := s.KV(t, 1)
			s.Write(t, mount+"/x", set{"a": "b"})
			l := newLogins(t, s, reading(mount))
			dir := t.TempDir()
			p := startPlugin(t)
			for name, tc := range map[string]struct {
				mount, identity string
				auth            set
			}{
				"approle, wrapped": {l.role.Mount, l.role.Mount, set{"approle": set{"mount": l.role.Mount, "role_id": l.role.RoleID, "secret_id": s.WrapSecretID(t, l.role), "wrapped": true}}},
				"userpass":         {l.userpass, l.userpass + "-gateway", set{"userpass": set{"mount": l.userpass, "username": "gateway", "password": "canary-password"}}},
				"jwt":              {l.issuer.Mount, l.issuer.Mount + "-build", set{"jwt": set{"mount": l.issuer.Mount, "role": "gateway", "token": l.issuer.Sign(t, "build")}}},
				"kubernetes": {l.kubernetes.Mount, l.kubernetes.Mount + "-default-gateway", set{"kubernetes": set{"mount": l.kubernetes.Mount, "role": "gateway",
					"token_file": file(t, filepath.Join(dir, "token"), l.kubernetes.ServiceToken(t))}}},
			} {
				t.Run(name, func(t *testing.T) {
					st := reopen(t, p, s, set{"namespace": s.Namespace(), "mount": mount, "kv_version": 1, "auth": tc.auth})
					everyone(t, 16, st)
					if got := s.Logins(t, tc.mount); got != 1 {
						t.Errorf("16 readers made %d logins, want 1", got)
					}
					if r, err := st.Check(t.Context()); err != nil || !strings.HasSuffix(r.Identity, tc.identity) {
						t.Errorf("check: identity %q, %v; want one that ends in %q", r.Identity, err, tc.identity)
					}
					if err := st.Close(t.Context()); err != nil {
						t.Errorf("close: %v", err)
					}
					if got := s.Logins(t, tc.mount); got != 0 {
						t.Errorf("%d logins live on after close", got)
					}
				})
			}
		})
	}
}

func TestCredentialsThatAreNotAcceptedAreUnauthenticated(t *testing.T) {
	mount := srv.KV(t, 1)
	l := newLogins(t, srv, reading(mount))
	used := srv.WrapSecretID(t, l.role)
	p := startPlugin(t)
	open := func(auth set) *dial.Store {
		return reopen(t, p, srv, set{"mount": mount, "kv_version": 1, "auth": auth})
	}
	wrapped := set{"approle": set{"mount": l.role.Mount, "role_id": l.role.RoleID, "secret_id": used, "wrapped": true}}
	if _, err := open(wrapped).Check(t.Context()); err != nil {
		t.Fatalf("the first use of a wrapping token: %v", err)
	}
	other, cluster := srv.JWTAuth(t, reading(mount)), srv.KubernetesAuth(t, reading(mount))
	for name, auth := range map[string]set{
		"a wrapping token that was used":        wrapped,
		"a secret id in place of a wrapped one": {"approle": set{"mount": l.role.Mount, "role_id": l.role.RoleID, "secret_id": l.role.SecretID, "wrapped": true}},
		"a wrong password":                      {"userpass": set{"mount": l.userpass, "username": "gateway", "password": "wrong"}},
		"another issuer's token":                {"jwt": set{"mount": l.issuer.Mount, "role": "gateway", "token": other.Sign(t, "build")}},
		"a role that is not there":              {"jwt": set{"mount": l.issuer.Mount, "role": "nobody", "token": l.issuer.Sign(t, "build")}},
		"a service account that is not known":   {"kubernetes": set{"mount": l.kubernetes.Mount, "role": "gateway", "token": cluster.ServiceToken(t)}},
		"a method that OpenBao does not have":   {"ldap": set{"username": "gateway", "password": "p"}},
	} {
		_, err := open(auth).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, name, err, sdk.Unauthenticated)
	}
}

// underReads changes something while eight callers read, and holds that no read fails. Afterwards every caller has read
// ten times more.
func underReads(t *testing.T, store func() *dial.Store, change func()) {
	t.Helper()
	underCalls(t, func() error {
		_, err := store().Get(t.Context(), sdk.GetRequest{Name: "x"})
		return err
	}, change)
}

func underCalls(t *testing.T, read func() error, change func()) {
	t.Helper()
	const readers, more = 8, 10
	var counts [readers]atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			for !stop.Load() {
				if err := read(); err != nil {
					t.Errorf("a read failed: %v", err)
					return
				}
				counts[i].Add(1)
			}
		})
	}
	reached := func(from [readers]int64) bool {
		for i := range counts {
			if counts[i].Load() < from[i]+more && !t.Failed() {
				return false
			}
		}
		return true
	}
	until(t, "everybody reads", func() bool { return reached([readers]int64{}) })
	change()
	var from [readers]int64
	for i := range counts {
		from[i] = counts[i].Load()
	}
	until(t, "everybody has read after the change", func() bool { return reached(from) })
	stop.Store(true)
	wg.Wait()
}

func TestReplacedTokensOfFilesFailNoReadAndCostOneLogin(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	l := newLogins(t, srv, reading(mount))
	path := filepath.Join(t.TempDir(), "token")
	p := startPlugin(t)
	for name, tc := range map[string]struct {
		mount string
		next  func() string
	}{
		"jwt":        {l.issuer.Mount, func() string { return l.issuer.Sign(t, "build-"+srv.Name()) }},
		"kubernetes": {l.kubernetes.Mount, func() string { return l.kubernetes.ServiceToken(t) }},
	} {
		file(t, path, tc.next())
		st := reopen(t, p, srv, set{"mount": mount, "kv_version": 1, "auth": set{name: set{"mount": tc.mount, "role": "gateway", "token_file": path}}})
		underReads(t, func() *dial.Store { return st }, func() {
			file(t, path, tc.next())
			if got := srv.RevokeLogins(t, tc.mount); got != 1 {
				t.Errorf("%s: %d logins before the change, want 1", name, got)
			}
		})
		if got := srv.Logins(t, tc.mount); got != 1 {
			t.Errorf("%s: %d logins after the change, want 1", name, got)
		}
	}
}

func TestAReplacedClientCertificateFailsNoReadAndCostsOneLogin(t *testing.T) {
	tls := openbao.Start(t, openbao.ClientCert())
	mount := tls.KV(t, 1)
	tls.Write(t, mount+"/x", set{"a": "b"})
	method := tls.CertAuth(t, reading(mount))
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	file(t, cert, tls.Cert)
	file(t, key, tls.Key)
	st := openStore(t, tls, set{"mount": mount, "kv_version": 1, "auth": set{"cert": set{"mount": method, "cert_file": cert, "key_file": key}}})
	underReads(t, func() *dial.Store { return st }, func() {
		newCert, newKey := tls.NewClientCert(t, "gateway-2")
		file(t, cert, newCert)
		file(t, key, newKey)
		tls.Write(t, "auth/"+method+"/certs/gateway", set{"certificate": tls.CA, "allowed_common_names": "gateway-2"})
		if got := tls.RevokeLogins(t, method); got != 1 {
			t.Errorf("%d logins before the change, want 1", got)
		}
	})
	if got := tls.Logins(t, method); got != 1 {
		t.Errorf("%d logins after the change, want 1", got)
	}
}

// A secret id is part of the settings: the host opens the store again with the new one and closes the old opening.
func TestAReplacedSecretIDFailsNoReadAndCostsOneLogin(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	role := srv.AppRole(t, reading(mount), nil)
	p := startPlugin(t)
	var current atomic.Pointer[dial.Store]
	old := reopen(t, p, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)})
	current.Store(old)
	underReads(t, func() *dial.Store { return current.Load() }, func() {
		role.SecretID = srv.NewSecretID(t, role)
		current.Store(reopen(t, p, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)}))
	})
	if err := old.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := srv.Logins(t, role.Mount); got != 1 {
		t.Errorf("%d logins after the change, want 1: that of the new secret id", got)
	}
}
