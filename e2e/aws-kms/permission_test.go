//go:build e2e && unix

package awskms_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// policy allows actions, on everything: moto does not look which key or role a call is about.
func policy(actions ...string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["%s"],"Resource":"*"}]}`, strings.Join(actions, `","`))
}

func TestEachPermissionIsEnoughAndNeeded(t *testing.T) {
	key := motoKey(t, "SYMMETRIC_DEFAULT")
	p := startPlugin(t)
	ciphertext := ciphertextOf(t, open(t, p, enforced.Settings(t, set{"key": key})), "canary", nil)
	actions := map[string]struct{ encrypt, decrypt sdk.Code }{
		"kms:Encrypt":     {sdk.OK, sdk.PermissionDenied},
		"kms:Decrypt":     {sdk.PermissionDenied, sdk.OK},
		"kms:DescribeKey": {sdk.PermissionDenied, sdk.PermissionDenied},
	}
	if got, want := pagePolicy(t), slices.Sorted(maps.Keys(actions)); !slices.Equal(got, want) {
		t.Errorf("the page's policy has %q, and tried are %q", got, want)
	}
	for action, can := range actions {
		st := open(t, p, enforced.Settings(t, set{"key": key, "auth": enforced.User(t, policy(action)).Auth()}))
		_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("x")})
		wantCode(t, "encrypt with "+action, err, can.encrypt)
		if err != nil && !strings.Contains(err.Error(), "needs kms:Encrypt on "+key) {
			t.Errorf("encrypt with %s: the message does not name the permission: %v", action, err)
		}
		_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: ciphertext})
		wantCode(t, "decrypt with "+action, err, can.decrypt)
		if err != nil && !strings.Contains(err.Error(), "needs kms:Decrypt on "+key) {
			t.Errorf("decrypt with %s: the message does not name the permission: %v", action, err)
		}
		_, err = st.Check(t.Context())
		wantCode(t, "check with "+action, err, can.decrypt)
	}
}

func TestALoginThatIsNotAcceptedIsUnauthenticated(t *testing.T) {
	key := motoKey(t, "SYMMETRIC_DEFAULT")
	user := enforced.User(t, policy("kms:Encrypt"))
	wrong, revoked := user, enforced.NewKey(t, user.User)
	wrong.Secret += "x"
	p := startPlugin(t)
	was := open(t, p, enforced.Settings(t, set{"key": key, "auth": revoked.Auth()}))
	ciphertextOf(t, was, "x", nil)
	enforced.Revoke(t, revoked)
	for what, st := range map[string]*dial.Store{
		"a wrong key":   open(t, p, enforced.Settings(t, set{"key": key, "auth": wrong.Auth()})),
		"a revoked key": was,
	} {
		_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("x")})
		wantCode(t, "encrypt with "+what, err, sdk.Unauthenticated)
		_, err = st.Check(t.Context())
		wantCode(t, "check with "+what, err, sdk.Unauthenticated)
	}
}

func TestTheRoleThatIsAssumedIsTheOneThatCounts(t *testing.T) {
	key := motoKey(t, "SYMMETRIC_DEFAULT")
	role := enforced.Role(t, policy("kms:Encrypt", "kms:Decrypt"))
	user := enforced.User(t, policy("sts:AssumeRole"))
	enforced.IAM(t, "UpdateAssumeRolePolicy", map[string]string{"RoleName": role[strings.LastIndex(role, "/")+1:], "PolicyDocument": fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:user/%s"},"Action":"sts:AssumeRole"}]}`, moto.Account, user.User)})
	st := open(t, startPlugin(t), enforced.Settings(t, set{"key": key, "auth": user.Auth(), "assume_role": set{"arn": role, "session_name": "gateway"}}))
	wantPlaintext(t, st, sdk.DecryptRequest{Ciphertext: ciphertextOf(t, st, "canary", nil)}, "canary")
	r, err := st.Check(t.Context())
	if err != nil || !strings.Contains(r.Identity, "assumed-role") {
		t.Errorf("check: identity %q (%v), want that of the role's session", r.Identity, err)
	}
}
