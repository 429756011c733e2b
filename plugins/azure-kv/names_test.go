package main

import (
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk"
)

func TestNamesBecomeTheVaultsAndAreFoundAgain(t *testing.T) {
	for _, c := range []struct{ names, name, id, back string }{
		{"exact", "OPENAI-API-KEY", "OPENAI-API-KEY", "OPENAI-API-KEY"},
		{"dashes", "OPENAI_API_KEY", "OPENAI-API-KEY", "OPENAI-API-KEY"},
		{"dashes", "team/a.b", "team-a-b", "team-a-b"},
		{"escaped", "OPENAI_API_KEY", "OPENAI-uAPI-uKEY", "OPENAI_API_KEY"},
		{"escaped", "team/a-b.c", "team-sa--b-dc", "team/a-b.c"},
		{"escaped", "ü x", "-xc3-xbc-x20x", "ü x"},
	} {
		n := naming(c.names)
		id, err := n.encode("get", c.name)
		if err != nil || id != c.id {
			t.Errorf("%s: %q becomes %q (%v), want %q", c.names, c.name, id, err, c.id)
		}
		if back, ok := n.decode(id, nil); !ok || back != c.back {
			t.Errorf("%s: %q comes back as %q, %v, want %q", c.names, id, back, ok, c.back)
		}
		if back, ok := n.decode(id, map[string]*string{nameTag: &c.name}); c.names != "exact" && (!ok || back != c.name) {
			t.Errorf("%s: %q with its tag comes back as %q, %v, want %q", c.names, id, back, ok, c.name)
		}
	}
}

func TestNamesThatAVaultCannotHoldAreRefused(t *testing.T) {
	for names, bad := range map[string][]string{
		"exact":   {"", "a_b", "a/b", "a.b", "ü", strings.Repeat("n", 128)},
		"dashes":  {"", "a b", "ü", strings.Repeat("n", 128)},
		"escaped": {"", strings.Repeat("_", 64)},
	} {
		for _, name := range bad {
			_, err := naming(names).encode("get", name)
			wantCode(t, names+": "+name, err, sdk.InvalidArgument)
		}
	}
}

func TestWhatNoNameBecomesIsNotListed(t *testing.T) {
	other := "other/name"
	for _, c := range []struct {
		id   string
		tags map[string]*string
	}{{"plain-text", nil}, {"end-", nil}, {"-x4", nil}, {"-x41", nil}, {"-xzz", nil}, {"a-sb", map[string]*string{nameTag: &other}}, {"a-s-sb", nil}} {
		if name, ok := naming("escaped").decode(c.id, c.tags); ok {
			t.Errorf("%q is listed as %q", c.id, name)
		}
	}
}

func TestTwoNamesNeverShareAPlaceInTheVault(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, set{"names": "dashes"})
	put(t, st, "a_b", "one")
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "a/b", Value: sdk.SensitiveString("two")})
	wantCode(t, "put of another name at its place", err, sdk.FailedPrecondition)
	if err == nil || !strings.Contains(err.Error(), `"a_b"`) {
		t.Errorf("%v does not name the other", err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "a/b"})
	wantCode(t, "get of another name at its place", err, sdk.NotFound)
	_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "a/b"})
	wantCode(t, "delete of another name at its place", err, sdk.NotFound)
	_, err = st.Versions(t.Context(), sdk.VersionsRequest{Name: "a/b", PageSize: 10})
	wantCode(t, "versions of another name at its place", err, sdk.NotFound)
	wantValue(t, st, "a_b", "one")

	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "a_b"}); err != nil {
		t.Fatal(err)
	}
	err = st.Restore(t.Context(), sdk.RestoreRequest{Name: "a/b"})
	wantCode(t, "restore of another name at its place", err, sdk.NotFound)
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "a/b"})
	wantCode(t, "get where another name was deleted", err, sdk.NotFound)
}

func TestADashInThePortalIsAnUnderscoreForLiteLLM(t *testing.T) {
	s := azurekv.Start(t)
	put(t, opened(t, s, nil), "OPENAI-API-KEY", "value")
	st := opened(t, s, set{"names": "dashes"})
	wantValue(t, st, "OPENAI_API_KEY", "value")
	wantValue(t, st, "OPENAI-API-KEY", "value")
	page, err := st.List(t.Context(), sdk.ListRequest{Prefix: "OPENAI", PageSize: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Name != "OPENAI-API-KEY" {
		t.Errorf("list: %+v, %v; want the name as the vault has it", page, err)
	}
	put(t, st, "OPENAI_API_KEY", "new")
	page, err = st.List(t.Context(), sdk.ListRequest{Prefix: "OPENAI_", PageSize: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Name != "OPENAI_API_KEY" {
		t.Errorf("list after a put: %+v, %v; want the name that was put", page, err)
	}
}
