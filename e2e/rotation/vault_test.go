//go:build e2e && unix

package rotation_test

import (
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
)

// onOpenBao opens a host on a server that keeps one secret. auth tells the login, with its credential in the file "credential".
func onOpenBao(t *testing.T, auth func(srv *openbao.Server, rules string) (auth set, credential string)) (*gateway, *counter, *openbao.Server) {
	t.Helper()
	srv := openbao.Start(t)
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/openai", set{"key": "a value"})
	c := count(t, srv.Addr, login)
	how, credential := auth(srv, reading(mount))
	dir := t.TempDir()
	replace(t, dir, "credential", credential)
	return open(t, dir, "vault", set{"address": c.url, "mount": mount, "kv_version": 1, "field": "key", "auth": how}), c, srv
}

func TestASecretIDIsReplacedUnderReads(t *testing.T) {
	var role openbao.Role
	g, logins, srv := onOpenBao(t, func(srv *openbao.Server, rules string) (set, string) {
		role = srv.AppRole(t, rules, set{"token_ttl": "1h"})
		return set{"approle": set{"mount": role.Mount, "role_id": role.RoleID, "secret_id": "secret://file/credential"}}, role.SecretID
	})
	underReads(t, g, "openai", "a value", func(r *readers) {
		wantLogins(t, "before the change", logins.of("login"), 1)
		replace(t, g.dir, "credential", srv.NewSecretID(t, role))
		until(t, "the new secret id has logged in", func() bool { return logins.of("login") > 1 })
		r.turn()
		srv.Write(t, "auth/"+role.Mount+"/role/"+role.Name+"/secret-id/destroy", set{"secret_id": role.SecretID})
		until(t, "the former login is given up", func() bool { return srv.Logins(t, role.Mount) == 1 })
		r.turn()
	})
	wantLogins(t, "after one change", logins.of("login"), 2)
}

func TestAJWTIsReplacedUnderReads(t *testing.T) {
	var issuer *openbao.Issuer
	g, logins, srv := onOpenBao(t, func(srv *openbao.Server, rules string) (set, string) {
		issuer = srv.JWTAuth(t, rules)
		return set{"jwt": set{"mount": issuer.Mount, "role": "gateway", "token": "secret://file/credential"}}, issuer.Sign(t, "pod-1")
	})
	underReads(t, g, "openai", "a value", func(r *readers) {
		wantLogins(t, "before the change", logins.of("login"), 1)
		replace(t, g.dir, "credential", issuer.Sign(t, "pod-2"))
		until(t, "the new token has logged in", func() bool { return logins.of("login") > 1 })
		until(t, "the former login is given up", func() bool { return srv.Logins(t, issuer.Mount) == 1 })
		r.turn()
	})
	wantLogins(t, "after one change", logins.of("login"), 2)
}
