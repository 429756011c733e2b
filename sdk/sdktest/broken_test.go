package sdktest

import (
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// Each broken provider breaks one promise. breaks names every check that must fail for it: the one whose promise it breaks,
// and those that need that promise to try their own.
func TestEachBrokenProviderFailsByTheCheckWhosePromiseItBreaks(t *testing.T) {
	hung := make(chan struct{}) // ends what broken providers never end
	for _, c := range []struct {
		name   string
		plugin *sdk.Plugin
		breaks []string
	}{
		{"open dials", dials(), []string{"open/sends-nothing"}},
		{"close of one opening closes all", closesAll(), []string{"open/twice", "check/answers", "hang/other-stores", "down/unavailable"}},
		{"close waits for the watch", broken(func(g *good) *watchesOn { return &watchesOn{g, hung} }), []string{"close/ends-watch"}},
		{"a missing name is an empty secret", broken(func(g *good) *emptyMissing { return &emptyMissing{g} }),
			[]string{"get/missing", "put/if-version-missing", "delete/purge", "limit/longest-name", "failure/classified"}},
		{"version ignored", broken(func(g *good) *ignoresVersion { return &ignoresVersion{g} }),
			[]string{"get/missing-version", "get/old-version"}},
		{"version answered as an alias", broken(func(g *good) *answersAlias { return &answersAlias{g} }),
			[]string{"get/old-version", "get/version-is-an-id", "put/if-version", "stat/current", "versions/current", "concurrent/if-version"}},
		{"denied reported as missing", broken(func(g *good) *hidesDenied { return &hidesDenied{g} }), []string{"get/denied"}},
		{"batch in another order", broken(func(g *good) *reversesBatch { return &reversesBatch{g} }),
			[]string{"batch/order", "batch/missing", "batch/denied"}},
		{"batch fails for one", broken(func(g *good) *failsBatch { return &failsBatch{g} }),
			[]string{"batch/missing", "batch/denied", "batch/full"}},
		{"value trimmed", broken(func(g *good) *trims { return &trims{g} }), []string{"put/exact"}},
		{"value made UTF-8", broken(func(g *good) *reencodes { return &reencodes{g} }), []string{"put/binary"}},
		{"value cut at 64 KiB", broken(func(g *good) *truncates { return &truncates{g} }), []string{"put/largest"}},
		{"repeated put refused", broken(func(g *good) *refusesRepeat { return &refusesRepeat{g} }), []string{"put/repeat"}},
		{"labels dropped", broken(func(g *good) *dropsLabels { return &dropsLabels{g} }), []string{"put/labels", "put/labels-stay"}},
		{"if_absent ignored", broken(func(g *good) *ignoresAbsent { return &ignoresAbsent{g} }),
			[]string{"put/if-absent-exists", "concurrent/if-absent"}},
		{"if_absent revives a deleted secret", broken(func(g *good) *revives { return &revives{g} }), []string{"put/if-absent-deleted"}},
		{"if_version ignored", broken(func(g *good) *ignoresIfVersion { return &ignoresIfVersion{g} }),
			[]string{"put/if-version-lost", "put/if-version-missing", "concurrent/if-version"}},
		{"lost if_version writes", broken(func(g *good) *writesLost { return &writesLost{g} }),
			[]string{"put/if-version-lost", "put/if-version-missing", "concurrent/if-version"}},
		{"deleted secret is NotFound", broken(func(g *good) *forgetsDeleted { return &forgetsDeleted{g} }),
			[]string{"delete/gone", "stat/deleted"}},
		{"delete takes neighbours", broken(func(g *good) *deletesNeighbours { return &deletesNeighbours{g} }), []string{"delete/neighbours"}},
		{"purge ignored", broken(func(g *good) *ignoresPurge { return &ignoresPurge{g} }), []string{"delete/purge"}},
		{"recovery window ignored", broken(func(g *good) *ignoresWindow { return &ignoresWindow{g} }), []string{"delete/window"}},
		{"restore of a missing name succeeds", broken(func(g *good) *restoresAll { return &restoresAll{g} }),
			[]string{"delete/purge", "restore/missing"}},
		{"restore brings nothing back", broken(func(g *good) *restoresNothing { return &restoresNothing{g} }),
			[]string{"put/if-absent-deleted", "restore/undoes"}},
		{"list by folder", broken(func(g *good) *listsFolder { return &listsFolder{g} }),
			[]string{"list/prefix", "list/pages", "list/folders", "list/live", "list/nothing"}},
		{"list answers names without their folder", broken(func(g *good) *listsBase { return &listsBase{g} }),
			[]string{"list/prefix", "list/pages", "list/folders", "list/readable", "list/live"}},
		{"stat answers the value", broken(func(g *good) *statsValue { return &statsValue{g} }), []string{"stat/no-value"}},
		{"versions oldest first", broken(func(g *good) *oldestFirst { return &oldestFirst{g} }), []string{"versions/current"}},
		{"key that decrypt refuses", broken(func(g *good) *namesKeyVersion { return &namesKeyVersion{g} }), []string{"crypt/key"}},
		{"unknown key replaced", broken(func(g *good) *replacesKey { return &replacesKey{g} }), []string{"crypt/unknown-key"}},
		{"additional data ignored", broken(func(g *good) *ignoresAAD { return &ignoresAAD{g} }), []string{"crypt/other-aad"}},
		{"tag not checked", broken(func(g *good) *unchecked { return &unchecked{g} }),
			[]string{"crypt/tampered", "crypt/garbage", "crypt/other-aad"}},
		{"watch begins with a name", broken(func(g *good) *beginsNamed { return &beginsNamed{g} }), []string{"watch/begins"}},
		{"watch reports nothing", broken(func(g *good) *watchesNothing { return &watchesNothing{g} }), []string{"watch/reports"}},
		{"error without a code", broken(func(g *good) *unclassified { return &unclassified{g} }),
			[]string{"versions/missing", "failure/classified"}},
		{"panics", broken(func(g *good) *panics { return &panics{g} }), []string{"versions/missing", "failure/classified"}},
		{"error holds a value", broken(func(g *good) *tellsValue { return &tellsValue{g} }), []string{"failure/no-value"}},
		{"get ignores its context", broken(func(g *good) *ignoresContext { return &ignoresContext{g} }), []string{"hang/close"}},
		{"one lock for all stores", locks(), []string{"hang/other-stores"}},
		{"down is Internal", broken(func(g *good) *unmappedDown { return &unmappedDown{g} }), []string{"down/unavailable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := piped(t, c.plugin)
			if c.name == "close waits for the watch" {
				t.Cleanup(func() { close(hung) })
			}
			results := Verify(t.Context(), target)
			got := outcome(results)[Failed]
			if !slices.Equal(sorted(got), sorted(c.breaks)) {
				t.Errorf("failed %q, want %q", got, c.breaks)
				for _, r := range results {
					if r.Status == Failed {
						t.Logf("%s: %v", r.Check.Name, r.Err)
					}
				}
			}
		})
	}
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
