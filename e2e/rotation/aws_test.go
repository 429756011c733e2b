//go:build e2e && unix

package rotation_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/e2e/moto"
)

// signer is the word for requests by the id of the key that signed them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html
func signer(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

func TestAStaticKeyIsReplacedUnderReads(t *testing.T) {
	srv := moto.StartEnforced(t)
	if _, err := secretsmanager.NewFromConfig(srv.Config()).CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: aws.String("openai"), SecretString: aws.String("a value")}); err != nil {
		t.Fatal(err)
	}
	first := srv.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	second := srv.NewKey(t, first.User)
	calls := count(t, srv.URL, signer)
	dir := t.TempDir()
	file := func(k moto.Key) string { return asJSON(t, set{"id": k.ID, "secret": k.Secret}) }
	replace(t, dir, "key.json", file(first))
	g := open(t, dir, "aws-sm", set{"region": moto.Region, "endpoint": calls.url, "auth": set{"static": set{
		"access_key_id": "secret://file/key.json#/id", "secret_access_key": "secret://file/key.json#/secret"}}})
	underReads(t, g, "openai", "a value", func(r *readers) {
		replace(t, dir, "key.json", file(second))
		until(t, "the new key signs", func() bool { return calls.of(second.ID) > 0 })
		r.turn()
		former := calls.of(first.ID)
		srv.Revoke(t, first)
		r.turn()
		if got := calls.of(first.ID); got != former {
			t.Errorf("the former key has signed %d calls since the new one took over, want none", got-former)
		}
	})
}
