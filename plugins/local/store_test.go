package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestValuesAndVersionsOutliveTheProcess(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	binary := "\x00\xff\xfe not text \n"
	first, second := mustPut(t, s, "llm/openai", "sk-1"), mustPut(t, s, "llm/openai", binary)
	again := openStore(t, path, nil)
	wantValue(t, again, "llm/openai", binary)
	old, err := again.Get(t.Context(), sdk.GetRequest{Name: "llm/openai", Version: first})
	if err != nil || string(old.Value.Reveal()) != "sk-1" || old.Version != first || old.Created.IsZero() {
		t.Errorf("Get of version %q: %+v, %v, want the first value", first, old, err)
	}
	_, err = again.Get(t.Context(), sdk.GetRequest{Name: "llm/openai", Version: second + "9"})
	wantCode(t, err, sdk.NotFound, "Get of a version that never was")
}

func TestOlderVersionsAreDroppedBeyondTheLimit(t *testing.T) {
	s := openStore(t, storePath(t), map[string]any{"max_versions": 2})
	first := mustPut(t, s, "a", "1")
	mustPut(t, s, "a", "2")
	mustPut(t, s, "a", "3")
	_, err := s.Get(t.Context(), sdk.GetRequest{Name: "a", Version: first})
	wantCode(t, err, sdk.NotFound, "Get of a dropped version")
	page, err := s.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 1})
	if err != nil || len(page.Versions) != 1 || !page.Versions[0].Current || page.Next == "" {
		t.Fatalf("first page of versions: %+v, %v, want the current one and more", page, err)
	}
	page, err = s.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 1, PageToken: page.Next})
	if err != nil || len(page.Versions) != 1 || page.Versions[0].Current || page.Versions[0].State != sdk.StateEnabled || page.Next != "" {
		t.Errorf("last page of versions: %+v, %v, want the older one, enabled", page, err)
	}
	_, err = s.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 1, PageToken: "x"})
	wantCode(t, err, sdk.InvalidArgument, "Versions with a token of somebody else")
}

func TestConditionalPutsRefuseAndChangeNothing(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	stale := mustPut(t, s, "live", "1")
	mustPut(t, s, "live", "2")
	kept := mustPut(t, s, "deleted", "d")
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "deleted"}); err != nil {
		t.Fatal(err)
	}
	before := content(t, path)
	for _, c := range []struct {
		name string
		cond sdk.Precondition
		want sdk.Code
	}{
		{"live", sdk.IfAbsent(), sdk.AlreadyExists},
		{"live", sdk.IfVersion(stale), sdk.Aborted},
		{"absent", sdk.IfVersion(stale), sdk.Aborted},
		{"deleted", sdk.IfAbsent(), sdk.FailedPrecondition},
		{"deleted", sdk.IfVersion(kept), sdk.FailedPrecondition},
	} {
		_, err := s.Put(t.Context(), sdk.PutRequest{Name: c.name, Value: sdk.SensitiveString("x"), If: c.cond})
		wantCode(t, err, c.want, fmt.Sprintf("Put(%q, %+v)", c.name, c.cond))
	}
	if content(t, path) != before {
		t.Error("a refused Put wrote the file")
	}
}

func TestConditionalPutsThatHoldAreDone(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	out, err := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1"), If: sdk.IfAbsent()})
	if err != nil {
		t.Fatalf("Put if absent: %v", err)
	}
	if _, err = s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("2"), If: sdk.IfVersion(out.Version)}); err != nil {
		t.Errorf("Put if version %q: %v", out.Version, err)
	}
	wantValue(t, s, "a", "2")
}

func TestARepeatedPutAddsNoVersion(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	r := sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1"), If: sdk.IfAbsent(), IdempotencyKey: strings.Repeat("k", 32)}
	first, err := s.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Put(t.Context(), r)
	if err != nil || again != first {
		t.Errorf("the same Put again: %+v, %v, want %+v", again, err, first)
	}
	r.Value = sdk.SensitiveString("2")
	_, err = s.Put(t.Context(), r)
	wantCode(t, err, sdk.AlreadyExists, "another value under the same idempotency key")
}

func TestValuesOutsideTheLimitsAreRefused(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	for what, r := range map[string]sdk.PutRequest{
		"empty":       {Name: "a"},
		"over 1 MiB":  {Name: "a", Value: sdk.NewSensitive(make([]byte, sdk.MaxValue+1))},
		"huge labels": {Name: "a", Value: sdk.SensitiveString("x"), Labels: map[string]string{"k": strings.Repeat("v", maxLabels)}},
	} {
		_, err := s.Put(t.Context(), r)
		wantCode(t, err, sdk.InvalidArgument, what)
	}
	if content(t, path) != "absent" {
		t.Error("a refused Put made the file")
	}
	largest := strings.Repeat("v", sdk.MaxValue)
	mustPut(t, s, "a", largest)
	wantValue(t, openStore(t, path, nil), "a", largest)
}

func TestDeletedSecretsAreUnreadableAndComeBack(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	mustPut(t, s, "a", "1")
	out, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a", RecoveryWindow: time.Hour})
	if err != nil || !out.Recoverable || time.Until(out.Until) > time.Hour {
		t.Fatalf("Delete: %+v, %v, want recoverable for the hour asked for", out, err)
	}
	_, err = s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.FailedPrecondition, "Get of a deleted secret")
	_, err = s.Stat(t.Context(), sdk.StatRequest{Name: "a"})
	wantCode(t, err, sdk.FailedPrecondition, "Stat of a deleted secret")
	versions, err := s.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 10})
	if err != nil || len(versions.Versions) != 1 || versions.Versions[0].State != sdk.StateDeleted || versions.Versions[0].Current {
		t.Errorf("Versions of a deleted secret: %+v, %v, want one that is deleted and not current", versions, err)
	}
	if page, err := s.List(t.Context(), sdk.ListRequest{PageSize: 10}); err != nil || len(page.Items) > 0 {
		t.Errorf("List after delete: %+v, %v, want nothing", page, err)
	}
	longer, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a", RecoveryWindow: 2 * time.Hour})
	if err != nil || !longer.Until.After(out.Until) {
		t.Errorf("Delete again for longer: %+v, %v, want later than %v", longer, err, out.Until)
	}
	for range 2 { // restoring what is live is no error
		if err := s.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}); err != nil {
			t.Errorf("Restore: %v", err)
		}
	}
	wantValue(t, s, "a", "1")
}

func TestAPlainPutRevivesADeletedSecretWithItsHistory(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	first := mustPut(t, s, "a", "1")
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a", "2")
	wantValue(t, s, "a", "2")
	if old, err := s.Get(t.Context(), sdk.GetRequest{Name: "a", Version: first}); err != nil || string(old.Value.Reveal()) != "1" {
		t.Errorf("Get of version %q: %v, want the value from before the delete", first, err)
	}
}

func TestSecretsPastTheirRecoveryAreGoneAndDroppedByTheNextWrite(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	last := mustPut(t, s, "a", strings.Repeat("1", 4096))
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a", RecoveryWindow: time.Hour}); err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Now().Add(time.Hour + time.Minute) }
	wantValue(t, s, "a", "")
	wantCode(t, s.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}), sdk.NotFound, "Restore past the window")
	mustPut(t, s, "b", "x")
	if n := len(content(t, path)); n > 4096 {
		t.Errorf("the file has %d bytes after the next write, so it keeps the secret whose time is over", n)
	}
	if again := mustPut(t, s, "a", "2"); again == last {
		t.Errorf("the new secret's version is %q, which its forerunner had with another value", again)
	}
}

func TestPurgeIsForGood(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	last := mustPut(t, s, "a", "1")
	out, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a", Purge: true})
	if err != nil || out.Recoverable {
		t.Fatalf("purge: %+v, %v, want it not recoverable", out, err)
	}
	wantValue(t, s, "a", "")
	wantCode(t, s.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}), sdk.NotFound, "Restore of a purged secret")
	_, err = s.Delete(t.Context(), sdk.DeleteRequest{Name: "a"})
	wantCode(t, err, sdk.NotFound, "Delete of a purged secret")
	if again := mustPut(t, s, "a", "2"); again == last {
		t.Errorf("version %q is given a second time", again)
	}
}

func TestAWindowOfZeroInTheSettingsMakesEveryDeleteAPurge(t *testing.T) {
	s := openStore(t, storePath(t), map[string]any{"recovery_window": "0s"})
	mustPut(t, s, "a", "1")
	if out, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a"}); err != nil || out.Recoverable {
		t.Errorf("Delete: %+v, %v, want it not recoverable", out, err)
	}
	wantValue(t, s, "a", "")
	mustPut(t, s, "b", "1")
	first, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "b", RecoveryWindow: time.Hour})
	if err != nil || !first.Recoverable {
		t.Errorf("Delete with a window: %+v, %v, want it recoverable", first, err)
	}
	if again, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "b"}); err != nil || again != first {
		t.Errorf("Delete again without one: %+v, %v, want %+v as before", again, err, first)
	}
}

func TestLabelsAreGivenAtCreationAndKept(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	labels := map[string]string{"team": "search"}
	for _, r := range []sdk.PutRequest{
		{Name: "a", Value: sdk.SensitiveString("1"), Description: "first", Labels: labels},
		{Name: "a", Value: sdk.SensitiveString("2"), Description: "second", Labels: map[string]string{"team": "ads"}},
	} {
		if _, err := s.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	labels["team"] = "changed by the caller"
	m, err := s.Stat(t.Context(), sdk.StatRequest{Name: "a"})
	if err != nil || m.Description != "first" || !maps.Equal(m.Labels, map[string]string{"team": "search"}) || m.Version != "2" || m.Updated.Before(m.Created) {
		t.Errorf("Stat: %+v, %v, want the description and labels of the creation and version 2", m, err)
	}
}

func TestListGoesByPrefixAndPagesOnWhileSecretsGo(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	for _, n := range []string{"a", "llm", "llm/a", "llm/b", "llm/c", "llmx", "z"} {
		mustPut(t, s, n, "v")
	}
	if got := listed(t, s, "llm/", 2, nil); !slices.Equal(got, []string{"llm/a", "llm/b", "llm/c"}) {
		t.Errorf("List(llm/): %q", got)
	}
	drop := func() {
		if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "llm/a", Purge: true}); err != nil && sdk.CodeOf(err) != sdk.NotFound {
			t.Fatal(err)
		}
	}
	if got := listed(t, s, "", 3, drop); !slices.Equal(got, []string{"a", "llm", "llm/a", "llm/b", "llm/c", "llmx", "z"}) {
		t.Errorf("List of all, while the token's secret is purged: %q", got)
	}
	if got := listed(t, s, "none", 3, nil); len(got) > 0 {
		t.Errorf("List(none): %q, want nothing", got)
	}
}

func TestAPageOfLongLabelsFitsIntoAMessage(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	err := s.file.update(t.Context(), func(d *document) (bool, error) {
		for i := range 40 {
			r := sdk.PutRequest{Name: fmt.Sprint("s", i), Value: sdk.SensitiveString("v"), Description: strings.Repeat("d", maxLabels)}
			if _, _, err := s.put(d, r); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), sdk.ListRequest{PageSize: sdk.MaxPage})
	if n := len(page.Items); err != nil || n == 0 || n*maxLabels > sdk.MaxMessage || page.Next == "" {
		t.Errorf("first page: %d items of 64 KiB, next %q, %v, want as many as a message holds", n, page.Next, err)
	}
	if got := listed(t, s, "", sdk.MaxPage, nil); len(got) != 40 {
		t.Errorf("List over all pages: %d secrets, want 40", len(got))
	}
}

func listed(t *testing.T, s *store, prefix string, size int, between func()) (names []string) {
	t.Helper()
	token := ""
	for {
		page, err := s.List(t.Context(), sdk.ListRequest{Prefix: prefix, PageSize: size, PageToken: token})
		if err != nil || len(page.Items) > size {
			t.Fatalf("List: %d items, %v", len(page.Items), err)
		}
		for _, m := range page.Items {
			names = append(names, m.Name)
		}
		if token = page.Next; token == "" {
			return names
		}
		if between != nil {
			between()
		}
	}
}

func TestABatchAnswersEachNameByItself(t *testing.T) {
	s := openStore(t, storePath(t), nil)
	mustPut(t, s, "a", "1")
	mustPut(t, s, "gone", "2")
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"missing", "a", "gone"}})
	if err != nil || len(got) != 3 {
		t.Fatalf("GetBatch: %d results, %v", len(got), err)
	}
	wantCode(t, got[0].Err, sdk.NotFound, "missing")
	wantCode(t, got[2].Err, sdk.FailedPrecondition, "gone")
	if got[1].Err != nil || string(got[1].Secret.Value.Reveal()) != "1" {
		t.Errorf("a: %+v, want its value", got[1])
	}
}

func TestAnAbsentFileIsAnEmptyStoreOnlyWhereItMayBeMade(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	wantValue(t, s, "a", "")
	if r, err := s.Check(t.Context()); err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], path) {
		t.Errorf("Check of an absent file: %+v, %v, want a note", r, err)
	}
	closed := openStore(t, path, map[string]any{"create": false})
	_, err := closed.Check(t.Context())
	wantCode(t, err, sdk.Unavailable, "Check with create false")
	_, err = closed.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.Unavailable, "Get with create false")
	_, err = closed.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1")})
	wantCode(t, err, sdk.Unavailable, "Put with create false")
	if content(t, path) != "absent" {
		t.Error("a store that may not be made was made")
	}
	mustPut(t, s, "a", "1")
	wantValue(t, closed, "a", "1")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.Unavailable, "Get after the file vanished")
}

func TestCheckTellsFileAndKeyAndWarnsOfAnOpenFile(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	mustPut(t, s, "a", "1")
	r, err := s.Check(t.Context())
	if err != nil || len(r.Notes) > 0 || !strings.Contains(r.Identity, path) || !strings.Contains(r.Identity, s.keys.String()) {
		t.Errorf("Check: %+v, %v, want the path, the key's id and no note", r, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err = s.Check(t.Context()); err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "0644") {
		t.Errorf("Check of a file with mode 0644: %+v, %v, want a note", r, err)
	}
	mustPut(t, s, "a", "2")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after a write the file has mode %v (%v), want 0600", info.Mode(), err)
	}
}

func TestACallWhoseCallerLeftDoesNothing(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, sdk.GetRequest{Name: "a"})
	wantCode(t, err, sdk.Canceled, "Get")
	_, err = s.Put(ctx, sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1")})
	wantCode(t, err, sdk.Canceled, "Put")
	if content(t, path) != "absent" {
		t.Error("Put wrote for a caller who had left")
	}
}
