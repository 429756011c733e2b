package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
)

// twoStores are one that is copied from, with secrets below app/, and one that is copied to.
func twoStores(t *testing.T, secrets int) (f fixture, from, to *host.Store) {
	t.Helper()
	f = open(t, `
stores:
  old: {provider: example, access: read_write, settings: {seed: {other: x}}}
  new: {provider: example, access: read_write, settings: {seed: {kept: x}}}
  reads: {provider: example, settings: {seed: {a: v}}}
  doc: {provider: example, access: read_write, document: all}
`, nil)
	from, to = storeOf(t, f, "old"), storeOf(t, f, "new")
	for i := range secrets {
		put(t, from, sdk.PutRequest{Name: fmt.Sprintf("app/%03d", i), Value: sdk.NewSensitive([]byte{0xff, byte(i), 0}),
			Description: "for tests", Labels: map[string]string{"team": "a"}})
	}
	return f, from, to
}

func migrate(t *testing.T, f fixture, m host.Migration) (host.MigrationReport, []host.MigrationItem) {
	t.Helper()
	var items []host.MigrationItem
	r, err := f.Migrate(t.Context(), m, func(i host.MigrationItem) { items = append(items, i) })
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != r.Total {
		t.Errorf("progress told of %d secrets, want %d", len(items), r.Total)
	}
	for n, i := range items {
		if i.Done != n+1 || i.Total != r.Total {
			t.Errorf("call %d of progress says %d of %d", n+1, i.Done, i.Total)
		}
	}
	return r, items
}

var oldToNew = host.Migration{From: "old", FromPrefix: "app/", To: "new", ToPrefix: "team/"}

func TestAMigrationCopiesValuesAndLabelsAndLeavesTheRest(t *testing.T) {
	f, from, to := twoStores(t, 40)
	dry := oldToNew
	dry.DryRun = true
	if r, _ := migrate(t, f, dry); r.WouldCopy != 40 || r.Copied != 0 {
		t.Errorf("dry run: %+v, want 40 that would be copied", r)
	}
	if _, err := to.Get(t.Context(), "team/000", ""); !errors.Is(err, sdk.NotFound) {
		t.Errorf("after a dry run the destination has a secret: %v", err)
	}
	if r, _ := migrate(t, f, oldToNew); r != (host.MigrationReport{Total: 40, Copied: 40}) {
		t.Errorf("migration: %+v, want 40 copied", r)
	}
	for i := range 40 {
		v, err := to.Get(t.Context(), fmt.Sprintf("team/%03d", i), "")
		if err != nil || !slices.Equal(v.Reveal(), []byte{0xff, byte(i), 0}) {
			t.Errorf("secret %d: %d bytes, %v, want the source's", i, v.Len(), err)
		}
	}
	if m, err := to.Stat(t.Context(), "team/007"); err != nil || m.Description != "for tests" || m.Labels["team"] != "a" {
		t.Errorf("Stat = %+v, %v, want description and labels of the source", m, err)
	}
	versions := 0
	for _, err := range from.Versions(t.Context(), "app/007") {
		if err != nil {
			t.Fatal(err)
		}
		versions++
	}
	if versions != 1 {
		t.Errorf("the source has %d versions, want it as it was", versions)
	}
}

func TestAMigrationThatWasCutShortGoesOn(t *testing.T) {
	f, _, _ := twoStores(t, 10)
	first := oldToNew
	first.Names = []string{"app/001", "app/004", "app/001"}
	if r, _ := migrate(t, f, first); r.Copied != 2 {
		t.Errorf("by name: %+v, want 2 copied", r)
	}
	if r, _ := migrate(t, f, oldToNew); r != (host.MigrationReport{Total: 10, Copied: 8, Same: 2}) {
		t.Errorf("again: %+v, want 8 copied and 2 there", r)
	}
	if r, _ := migrate(t, f, oldToNew); r != (host.MigrationReport{Total: 10, Same: 10}) {
		t.Errorf("a third time: %+v, want nothing to do", r)
	}
}

func TestOneSecretThatCannotBeCopiedKeepsNoOtherFromIt(t *testing.T) {
	f, from, to := twoStores(t, 5)
	put(t, to, sdk.PutRequest{Name: "team/002", Value: sdk.SensitiveString("canary-other")})
	r, items := migrate(t, f, oldToNew)
	if r.Copied != 4 || r.Failed != 1 {
		t.Errorf("migration: %+v, want 4 copied and 1 failed", r)
	}
	for _, i := range items {
		if (i.Name == "app/002") != errors.Is(i.Err, sdk.AlreadyExists) || (i.Err != nil) != (i.State == host.Failed) {
			t.Errorf("%s: %s, %v", i.Name, i.State, i.Err)
		}
	}
	if v, err := to.Get(t.Context(), "team/002", ""); err != nil || string(v.Reveal()) != "canary-other" {
		t.Errorf("what was there is gone: %v", err)
	}
	replace := oldToNew
	replace.Replace = true
	if r, _ := migrate(t, f, replace); r != (host.MigrationReport{Total: 5, Copied: 1, Same: 4}) {
		t.Errorf("with Replace: %+v, want the one replaced", r)
	}
	if _, err := from.Delete(t.Context(), sdk.DeleteRequest{Name: "app/003"}); err != nil {
		t.Fatal(err)
	}
	gone := oldToNew
	gone.Names = []string{"app/003", "app/004"}
	if r, _ := migrate(t, f, gone); r.Failed != 1 || r.Same != 1 {
		t.Errorf("with a deleted secret: %+v, want it failed and the other there", r)
	}
}

func TestAMigrationThatCannotBeDoneBeginsNothing(t *testing.T) {
	f, _, to := twoStores(t, 3)
	for name, c := range map[string]struct {
		m    host.Migration
		want sdk.Code
	}{
		"no such store":            {host.Migration{From: "old", To: "nowhere"}, sdk.NotFound},
		"into itself":              {host.Migration{From: "old", FromPrefix: "app/", To: "old", ToPrefix: "app/x/"}, sdk.InvalidArgument},
		"a store that only reads":  {host.Migration{From: "old", FromPrefix: "app/", To: "reads"}, sdk.Unimplemented},
		"the fields of a document": {host.Migration{From: "doc", To: "new"}, sdk.Unimplemented},
		"a name elsewhere":         {host.Migration{From: "old", FromPrefix: "app/", To: "new", Names: []string{"other"}}, sdk.InvalidArgument},
		"a prefix with a line":     {host.Migration{From: "old", FromPrefix: "a\n", To: "new"}, sdk.InvalidArgument},
	} {
		if _, err := f.Migrate(t.Context(), c.m, nil); sdk.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for m, err := range to.List(t.Context(), "team/") {
		t.Errorf("the destination has %q, %v", m.Name, err)
	}
}

func TestAMigrationEndsWithItsContextAndTellsWhatItDid(t *testing.T) {
	f, _, _ := twoStores(t, 60)
	ctx, cancel := context.WithCancel(t.Context())
	var through atomic.Int64
	r, err := f.Migrate(ctx, oldToNew, func(i host.MigrationItem) {
		if through.Add(1) == 10 {
			cancel()
		}
	})
	if !errors.Is(err, sdk.Canceled) && !errors.Is(err, ctx.Err()) {
		t.Errorf("Migrate = %v, want canceled", err)
	}
	if r.Copied+r.Failed != 60 || r.Copied < 1 || r.Failed < 1 {
		t.Errorf("report %+v, want some copied and the rest failed", r)
	}
	if r, _ := migrate(t, f, oldToNew); r.Failed != 0 || r.Copied+r.Same != 60 {
		t.Errorf("again: %+v, want all there", r)
	}
}
