//go:build e2e && unix

// Package docs_test tries what the pages show with a real secret manager.
package docs_test

import (
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/e2e/openbao"
)

func TestWhatThePagesShowWithASecretManager(t *testing.T) {
	srv := openbao.Start(t)
	mount := srv.KV(t, 2)
	for _, name := range []string{"OPENAI_API_KEY", "LITELLM_MASTER_KEY"} {
		srv.Write(t, mount+"/data/"+name, map[string]any{"data": map[string]any{"key": "sk-" + name}})
	}
	env := []string{"HCP_VAULT_ADDR=" + srv.Addr, "HCP_VAULT_MOUNT_NAME=" + mount,
		"HCP_VAULT_TOKEN=" + srv.NewToken(t, `path "`+mount+`/data/*" { capabilities = ["read"] }`)}
	bench := doctest.NewBench(t)
	page, err := doctest.Read("../../docs/litellm.md")
	if err != nil {
		t.Fatal(err)
	}
	bench.Run(t, bench.Folder(t), page, env, func(b doctest.Block) bool { return b.Info == "console e2e" })
}
