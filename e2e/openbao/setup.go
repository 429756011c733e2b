//go:build unix

package openbao

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// In gives the same server seen from a namespace, which it creates.
func (s *Server) In(t testing.TB, namespace string) *Server {
	t.Helper()
	s.Write(t, "sys/namespaces/"+namespace, nil)
	n := *s
	n.namespace = strings.Trim(s.namespace+"/"+namespace, "/")
	return &n
}

// Namespace is the one that the server is seen from; empty is the root.
func (s *Server) Namespace() string { return s.namespace }

// Name gives a name that no other test has.
func (s *Server) Name() string { return strings.ToLower(rand.Text()[:10]) }

// Write sends a PUT with the root token and gives the answer's data.
func (s *Server) Write(t testing.TB, path string, body map[string]any) map[string]any {
	t.Helper()
	a, err := s.Client().Logical().WriteWithContext(t.Context(), path, body)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	if a == nil {
		return nil
	}
	return a.Data
}

// Read sends a GET with the root token and gives the answer's data, nil where there is none.
func (s *Server) Read(t testing.TB, path string) map[string]any {
	t.Helper()
	a, err := s.Client().Logical().ReadWithContext(t.Context(), path)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if a == nil {
		return nil
	}
	return a.Data
}

// KV mounts a key-value engine of version 1 or 2 at a fresh path and gives the path.
func (s *Server) KV(t testing.TB, version int) string {
	t.Helper()
	path := "kv-" + s.Name()
	s.MountKV(t, path, version)
	return path
}

// MountKV mounts a key-value engine at a path.
func (s *Server) MountKV(t testing.TB, path string, version int) {
	t.Helper()
	v := map[int]string{1: "1", 2: "2"}[version]
	s.Write(t, "sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]string{"version": v}})
	for version == 2 { // a new engine of version 2 refuses everything for a moment
		_, err := s.Client().Logical().ReadWithContext(t.Context(), path+"/config")
		if err == nil {
			return
		}
		if t.Context().Err() != nil || !strings.Contains(err.Error(), "Upgrading from non-versioned") {
			t.Fatalf("mount %s: %v", path, err)
		}
		runtime.Gosched()
	}
}

// Transit mounts a transit engine with one key at a fresh path.
func (s *Server) Transit(t testing.TB, key string) string {
	t.Helper()
	path := "transit-" + s.Name()
	s.Write(t, "sys/mounts/"+path, map[string]any{"type": "transit"})
	s.Write(t, path+"/keys/"+key, map[string]any{"type": "aes256-gcm96"})
	return path
}

// Policy writes a policy under a fresh name.
func (s *Server) Policy(t testing.TB, rules string) string {
	t.Helper()
	name := "policy-" + s.Name()
	s.Write(t, "sys/policies/acl/"+name, map[string]any{"policy": rules})
	return name
}

// NewToken makes a token with the policy default and the given rules.
func (s *Server) NewToken(t testing.TB, rules string) string {
	t.Helper()
	return s.NewTokenWith(t, rules, nil)
}

// NewTokenWith is NewToken with more parameters of auth/token/create, such as "ttl" or "period".
func (s *Server) NewTokenWith(t testing.TB, rules string, more map[string]any) string {
	t.Helper()
	body := map[string]any{"policies": []string{s.Policy(t, rules)}}
	maps.Copy(body, more)
	a, err := s.Client().Logical().WriteWithContext(t.Context(), "auth/token/create", body)
	if err != nil {
		t.Fatalf("create token: %v", err)
	}
	return a.Auth.ClientToken
}

// Role is an AppRole with its credentials.
type Role struct{ Mount, Name, RoleID, SecretID string }

// AppRole mounts the auth method at a fresh path and makes one role with the rules; more are parameters of the role, such
// as "token_ttl".
func (s *Server) AppRole(t testing.TB, rules string, more map[string]any) Role {
	t.Helper()
	r := Role{Mount: "approle-" + s.Name(), Name: "gateway"}
	s.Write(t, "sys/auth/"+r.Mount, map[string]any{"type": "approle"})
	body := map[string]any{"token_policies": []string{s.Policy(t, rules)}}
	maps.Copy(body, more)
	path := "auth/" + r.Mount + "/role/" + r.Name
	s.Write(t, path, body)
	r.RoleID, _ = s.Read(t, path+"/role-id")["role_id"].(string)
	r.SecretID, _ = s.Write(t, path+"/secret-id", nil)["secret_id"].(string)
	return r
}

// CertAuth mounts the cert auth method at a fresh path and lets the server's client certificate in with the rules.
func (s *Server) CertAuth(t testing.TB, rules string) string {
	t.Helper()
	path := "cert-" + s.Name()
	s.Write(t, "sys/auth/"+path, map[string]any{"type": "cert"})
	s.Write(t, "auth/"+path+"/certs/gateway", map[string]any{"certificate": s.CA, "token_policies": []string{s.Policy(t, rules)}})
	return path
}

// Revoke ends a token.
func (s *Server) Revoke(t testing.TB, token string) {
	t.Helper()
	s.Write(t, "auth/token/revoke", map[string]any{"token": token})
}

// Lease is a live token that an auth mount has given.
type Lease struct {
	ID      string
	Expires time.Time
}

// LoginLeases gives the live tokens of an auth mount.
func (s *Server) LoginLeases(t testing.TB, mount string) []Lease {
	t.Helper()
	return s.leases(t, "auth/"+mount+"/login/")
}

// leases goes through folders, which methods with a user name in the path have.
func (s *Server) leases(t testing.TB, folder string) []Lease {
	t.Helper()
	a, err := s.Client().Logical().ListWithContext(t.Context(), "sys/leases/lookup/"+folder)
	if err != nil {
		t.Fatalf("list logins: %v", err)
	}
	if a == nil {
		return nil
	}
	keys, _ := a.Data["keys"].([]any)
	var leases []Lease
	for _, k := range keys {
		id := fmt.Sprintf("%s%v", folder, k)
		if strings.HasSuffix(id, "/") {
			leases = append(leases, s.leases(t, id)...)
			continue
		}
		l, err := s.Client().Logical().WriteWithContext(t.Context(), "sys/leases/lookup", map[string]any{"lease_id": id})
		if err != nil && strings.Contains(err.Error(), "invalid lease") { // it has ended since
			continue
		}
		if err != nil {
			t.Fatalf("look up a lease: %v", err)
		}
		text, _ := l.Data["expire_time"].(string)
		expires, _ := time.Parse(time.RFC3339Nano, text)
		leases = append(leases, Lease{ID: id, Expires: expires})
	}
	return leases
}

// LoginLease gives the newest live token of an auth mount.
func (s *Server) LoginLease(t testing.TB, mount string) Lease {
	t.Helper()
	leases := s.LoginLeases(t, mount)
	if len(leases) == 0 {
		t.Fatalf("auth mount %s has given no token that lives", mount)
	}
	return slices.MaxFunc(leases, func(a, b Lease) int { return a.Expires.Compare(b.Expires) })
}

// Logins counts the live tokens of an auth mount.
func (s *Server) Logins(t testing.TB, mount string) int {
	t.Helper()
	return len(s.LoginLeases(t, mount))
}

// RevokeLogins ends the tokens of an auth mount and tells how many there were.
func (s *Server) RevokeLogins(t testing.TB, mount string) int {
	t.Helper()
	n := s.Logins(t, mount)
	s.Write(t, "sys/leases/revoke-prefix/auth/"+mount, map[string]any{"sync": true})
	return n
}

// Settings gives the JSON of a store's settings: address and authority of the server, and what is added.
func (s *Server) Settings(t testing.TB, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"address": s.Addr}
	if s.CA != "" {
		m["tls"] = map[string]any{"ca": s.CA}
	}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("settings: %v", err)
	}
	return raw
}
