package sdktest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

func TestGoodProviderKeepsEveryPromise(t *testing.T) {
	Run(t, piped(t, broken(func(g *good) *good { return g })))
}

func TestEveryCheckIsTriedOnTheGoodProvider(t *testing.T) {
	got := outcome(Verify(t.Context(), piped(t, broken(func(g *good) *good { return g }))))
	if len(got[Failed]) > 0 {
		t.Errorf("failed: %q", got[Failed])
	}
	if want := []string{"put/field-siblings", "delete/field-siblings"}; strings.Join(got[Absent], " ") != strings.Join(want, " ") {
		t.Errorf("absent: %q, want only what needs a store of fields, %q", got[Absent], want)
	}
	if n := len(got[Passed]); n < 70 {
		t.Errorf("%d checks passed, want 70 or more", n)
	}
}

func TestChecksHaveUniqueNamesAndOneSentence(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+/[a-z-]+$`)
	seen := map[string]bool{}
	for _, c := range Suite() {
		if seen[c.Name] || !form.MatchString(c.Name) {
			t.Errorf("check %q: a name that comes twice or is not topic/promise", c.Name)
		}
		seen[c.Name] = true
		if c.Promise == "" || strings.ContainsAny(c.Promise, "\n.") {
			t.Errorf("check %q: promise %q, want one sentence without its full stop", c.Name, c.Promise)
		}
	}
}

func TestReadOnlyStoreShowsWhatItCan(t *testing.T) {
	conn, stop := serve.Pipe(example.Plugin())
	defer stop()
	settings := []byte(`{"read_only":true,"seed":{"known":"value"}}`)
	plugin := dial.New(conn)
	store, err := plugin.Open(t.Context(), "main~1", settings)
	if err != nil {
		t.Fatal(err)
	}
	got := outcome(Verify(t.Context(), &Target{Plugin: plugin, Settings: settings, Store: store, Known: map[string]string{"known": "value"}}))
	if len(got[Failed]) > 0 {
		t.Errorf("failed: %q", got[Failed])
	}
	for _, c := range Suite() {
		for _, absent := range got[Absent] {
			if c.Name == absent && c.Needs&(sdk.CanPut|sdk.CanDelete|sdk.CanRestore) == 0 && c.given == nil {
				t.Errorf("%s was not tried, though it needs no write", c.Name)
			}
		}
	}
}

func TestKnownSecretThatIsAnotherFails(t *testing.T) {
	conn, stop := serve.Pipe(example.Plugin())
	defer stop()
	store, err := dial.New(conn).Open(t.Context(), "main~1", []byte(`{"read_only":true,"seed":{"known":"value"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Verify(t.Context(), &Target{Store: store, Known: map[string]string{"known": "SECOND-CANARY"}}) {
		if r.Check.Name != "get/existing" {
			continue
		}
		if r.Status != Failed {
			t.Errorf("get/existing: %v, want failed", r.Status)
		} else if strings.Contains(r.Err.Error(), "CANARY") {
			t.Error("get/existing: the error holds a value")
		}
	}
}
