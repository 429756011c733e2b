//go:build e2e && unix

package vault_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// allBut lets a token do everything in a mount except under the folder "denied".
func allBut(mount string) string {
	rules := `path "` + mount + `/*" { capabilities = ["create","read","update","patch","delete","list"] }
		path "` + mount + `/denied/*" { capabilities = ["deny"] }`
	for _, kind := range []string{"data", "metadata", "subkeys", "delete"} {
		rules += "\n" + `path "` + mount + "/" + kind + `/denied/*" { capabilities = ["deny"] }`
	}
	return rules
}

func TestDocumentStoreKeepsTheContract(t *testing.T) {
	mount := srv.KV(t, 2)
	tg := target(t, set{"mount": mount, "auth": tokenAuth(srv.NewToken(t, allBut(mount)))})
	tg.Document, tg.Denied = true, "denied/x"
	conformance.Run(t, "vault", tg)
}

func TestFieldStoreKeepsTheContract(t *testing.T) {
	mount := srv.KV(t, 2)
	auth := tokenAuth(srv.NewToken(t, allBut(mount)))
	tg := target(t, set{"mount": mount, "field": "key", "path_prefix": "gateway", "auth": auth})
	tg.Sibling = func(ctx context.Context) (*dial.Store, error) {
		return tg.Plugin.Open(ctx, "test~"+srv.Name(), srv.Settings(t, set{"mount": mount, "field": "other", "path_prefix": "gateway", "auth": auth}))
	}
	conformance.Run(t, "vault", tg)
}

func TestFieldStoreWithoutPatchKeepsTheContract(t *testing.T) {
	mount := srv.KV(t, 2)
	auth := tokenAuth(srv.NewToken(t, `path "`+mount+`/*" { capabilities = ["create","read","update","delete","list"] }`))
	tg := target(t, set{"mount": mount, "field": "key", "auth": auth})
	conformance.Run(t, "vault", tg)
}

func TestVersion1KeepsTheContract(t *testing.T) {
	mount := srv.KV(t, 1)
	tg := target(t, set{"mount": mount, "kv_version": 1, "auth": tokenAuth(srv.NewToken(t, allBut(mount)))})
	tg.Document, tg.Denied = true, "denied/x"
	conformance.Run(t, "vault", tg)
}

func TestVersion1FieldStoreOnlyReads(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/folder/known", set{"key": "a value", "other": "x"})
	srv.Write(t, mount+"/folder/without", set{"other": "x"})
	tg := target(t, set{"mount": mount, "kv_version": 1, "field": "key", "auth": rootAuth(srv)})
	tg.Known = map[string]string{"folder/known": "a value"}
	conformance.Run(t, "vault", tg)
}

func TestTransitKeepsTheContract(t *testing.T) {
	mount := srv.Transit(t, "orders")
	// Without "create": the engine makes a key that does not exist for anyone who may create.
	auth := tokenAuth(srv.NewToken(t, `path "`+mount+`/+/*" { capabilities = ["update"] }`))
	conformance.Run(t, "vault", target(t, set{"mount": "", "transit": mount, "transit_key": "orders", "auth": auth}))
}

func TestTheDocumentedPolicyIsEnough(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```hcl\n")
	policy, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page shows no policy")
	}
	mount, transit := srv.KV(t, 2), srv.Transit(t, "gateway")
	policy = strings.NewReplacer(`"secret/`, `"`+mount+`/`, `"transit/`, `"`+transit+`/`).Replace(policy)
	auth := tokenAuth(srv.NewToken(t, policy))
	for _, field := range []string{"", "key"} {
		tg := target(t, set{"mount": mount, "path_prefix": "gateway/prod", "field": field, "transit": transit, "transit_key": "gateway", "auth": auth})
		tg.Document = field == ""
		conformance.Run(t, "vault", tg)
		if _, err := tg.Store.List(t.Context(), sdk.ListRequest{PageSize: 10}); err != nil {
			t.Errorf("list of the whole prefix: %v", err)
		}
	}
}
