//go:build e2e && unix

package conjur_test

import (
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/internal/fake/conjur"
)

func page(t *testing.T) doctest.Page {
	t.Helper()
	p, err := doctest.Read("../../docs/providers/conjur.md")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// policies gives the page's policies: one to read, one to write.
func policies(t *testing.T) (reading, writing string) {
	t.Helper()
	var found []string
	for _, b := range page(t).Blocks {
		if strings.HasPrefix(b.Text, "- !") {
			found = append(found, b.Text)
		}
	}
	if len(found) != 2 {
		t.Fatalf("the page has %d policies, want 2", len(found))
	}
	return found[0], found[1]
}

// What the page shows is tried with its own policy, where its address is that of the Conjur in memory.
func TestTheCommandsOfThePageDoWhatItShows(t *testing.T) {
	f := conjur.Start(t)
	_, policy := policies(t)
	f.Load(t, "root", policy)
	f.Load(t, "root", "- !variable OPENAI_API_KEY\n")
	f.Set(t, "OPENAI_API_KEY", "sk-canary")
	p := page(t)
	for i := range p.Blocks {
		p.Blocks[i].Text = strings.ReplaceAll(p.Blocks[i].Text, "https://conjur.internal", f.URL)
	}
	bench := doctest.NewBench(t, "conjur")
	for manager, env := range map[string][]string{
		"keyway run":  {"CYBERARK_API_BASE=" + f.URL, "CYBERARK_ACCOUNT=" + f.Account, "CYBERARK_API_KEY=" + f.APIKey("admin")},
		"keyway get ": {"CONJUR_API_KEY=" + f.APIKey("host/gateway")},
	} {
		bench.Run(t, bench.Folder(t), p, env, func(b doctest.Block) bool { return b.Info == "console e2e" && strings.Contains(b.Text, manager) })
	}
}
