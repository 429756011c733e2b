//go:build e2e && unix

package awssm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

const readAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*"],"Resource":"*"}]}`

const assumeOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`

func TestAKeyIsReplacedWhileReadsRunAndARevokedOneIsRefused(t *testing.T) {
	p := startPlugin(t)
	name := "login/" + enforced.Name()
	put(t, reopen(t, p, enforced, nil), name, "v")
	old := enforced.User(t, readAll)
	fresh := enforced.NewKey(t, old.User)
	before := reopen(t, p, enforced, set{"auth": old.Auth()})
	wantValue(t, before, name, "v")
	after := reopen(t, p, enforced, set{"auth": fresh.Auth()})
	for _, st := range []*dial.Store{before, after} {
		wantValue(t, st, name, "v")
	}
	enforced.Revoke(t, old)
	wantValue(t, after, name, "v")
	_, err := before.Get(t.Context(), sdk.GetRequest{Name: name})
	wantCode(t, "get with a revoked key", err, sdk.Unauthenticated)
	_, err = before.Check(t.Context())
	wantCode(t, "check with a revoked key", err, sdk.Unauthenticated)
	wrong := fresh
	wrong.Secret = strings.Repeat("x", 40)
	_, err = reopen(t, p, enforced, set{"auth": wrong.Auth()}).Get(t.Context(), sdk.GetRequest{Name: name})
	wantCode(t, "get with a wrong secret key", err, sdk.Unauthenticated)
}

func TestARoleIsAssumedAndHasItsOwnPermissions(t *testing.T) {
	p := startPlugin(t)
	name := "login/" + enforced.Name()
	put(t, reopen(t, p, enforced, nil), name, "v")
	key := enforced.User(t, assumeOnly)
	_, err := reopen(t, p, enforced, set{"auth": key.Auth()}).Get(t.Context(), sdk.GetRequest{Name: name})
	wantCode(t, "get without the role", err, sdk.PermissionDenied)

	last := enforced.Role(t, readAll)
	st := reopen(t, p, enforced, set{"auth": key.Auth(), "assume_role": set{"arn": last, "session_name": "gateway"}})
	wantValue(t, st, name, "v")
	r, err := st.Check(t.Context())
	if err != nil || !strings.HasSuffix(r.Identity, "/gateway") || !strings.Contains(r.Identity, "assumed-role") {
		t.Errorf("check: %q, %v; want the role's session", r.Identity, err)
	}
	via, guarded := enforced.Role(t, assumeOnly), enforced.RoleFor(t, readAll, "gateway-7")
	chain := set{"arn": guarded, "external_id": "gateway-7", "via": []set{{"arn": via}}}
	wantValue(t, reopen(t, p, enforced, set{"auth": key.Auth(), "assume_role": chain}), name, "v")
	chain["external_id"] = "another"
	_, err = reopen(t, p, enforced, set{"auth": key.Auth(), "assume_role": chain}).Get(t.Context(), sdk.GetRequest{Name: name})
	wantCode(t, "get with another external id", err, sdk.PermissionDenied)

	powerless := enforced.User(t, readAll)
	_, err = reopen(t, p, enforced, set{"auth": powerless.Auth(), "assume_role": set{"arn": last}}).Get(t.Context(), sdk.GetRequest{Name: name})
	wantCode(t, "get by one who may not assume the role", err, sdk.PermissionDenied)
	if err == nil || !strings.Contains(err.Error(), "sts:AssumeRole on "+last) {
		t.Errorf("%v; want the permission and the role", err)
	}
}

func TestATokenIsTakenFromItsFileOrFromTheSettings(t *testing.T) {
	p := startPlugin(t)
	name := "login/" + srv.Name()
	put(t, reopen(t, p, srv, nil), name, "v")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("eyJhbGciOiJub25lIn0.e30.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	role := srv.Role(t, readAll)
	for what, auth := range map[string]set{
		"file":  {"web_identity": set{"token_file": file, "role_arn": role}},
		"token": {"web_identity": set{"token": "eyJhbGciOiJub25lIn0.e30.", "role_arn": role, "session_name": "pod"}},
	} {
		st := reopen(t, p, srv, set{"auth": auth})
		wantValue(t, st, name, "v")
		if r, err := st.Check(t.Context()); err != nil || !strings.Contains(r.Identity, "assumed-role") {
			t.Errorf("%s: identity %q, %v; want the role's session", what, r.Identity, err)
		}
	}
}

func TestAProfileOfSharedFilesLogsIn(t *testing.T) {
	p := startPlugin(t)
	name := "login/" + enforced.Name()
	put(t, reopen(t, p, enforced, nil), name, "v")
	key, role := enforced.User(t, assumeOnly), enforced.Role(t, readAll)
	dir := t.TempDir()
	write := func(file, text string) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	profile := set{"name": "gateway",
		"credentials_file": write("credentials", "[base]\naws_access_key_id = "+key.ID+"\naws_secret_access_key = "+key.Secret+"\n"),
		"config_file":      write("config", "[profile gateway]\nrole_arn = "+role+"\nsource_profile = base\n")}
	wantValue(t, reopen(t, p, enforced, set{"auth": set{"profile": profile}}), name, "v")
}
