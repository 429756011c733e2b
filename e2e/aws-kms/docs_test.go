//go:build e2e && unix

package awskms_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/e2e/moto"
)

func page(t *testing.T) doctest.Page {
	t.Helper()
	p, err := doctest.Read("../../docs/providers/aws-kms.md")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatThePageShowsWithAKey(t *testing.T) {
	st := open(t, startPlugin(t), enforced.Settings(t, set{"key": motoKey(t, "SYMMETRIC_DEFAULT")}))
	key := enforced.User(t, policy("kms:Decrypt"))
	env := []string{"AWS_REGION_NAME=" + moto.Region, "AWS_ENDPOINT_URL=" + enforced.URL, "AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret,
		"LITELLM_MASTER_KEY=" + base64.StdEncoding.EncodeToString(ciphertextOf(t, st, "sk-master", nil))}
	bench := doctest.NewBench(t, "aws-kms")
	bench.Run(t, bench.Folder(t), page(t), env, func(b doctest.Block) bool { return b.Info == "console e2e" })
}

// pagePolicy gives the actions of the page's policy.
func pagePolicy(t *testing.T) []string {
	t.Helper()
	for _, b := range page(t).Blocks {
		var p struct{ Statement []struct{ Action []string } }
		if b.Lang() != "json" || json.Unmarshal([]byte(b.Text), &p) != nil {
			continue
		}
		actions := map[string]bool{}
		for _, s := range p.Statement {
			for _, a := range s.Action {
				actions[a] = true
			}
		}
		return slices.Sorted(maps.Keys(actions))
	}
	t.Fatal("the page has no policy")
	return nil
}
