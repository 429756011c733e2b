package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk"
)

func TestAPutOverADeletedSecretChangesNothing(t *testing.T) {
	st := opened(t, azurekv.Start(t), nil)
	put(t, st, "x", "one")
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString("two")})
	wantCode(t, "put", err, sdk.FailedPrecondition)
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	wantValue(t, st, "x", "one")
}

func TestADisabledVersionIsNotReadAndTheNextOneIs(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	old := put(t, st, "x", "one")
	s.Disable("x")
	for _, version := range []string{"", old} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x", Version: version})
		wantCode(t, "get of a disabled version", err, sdk.FailedPrecondition)
	}
	_, err := st.Stat(t.Context(), sdk.StatRequest{Name: "x"})
	wantCode(t, "stat of a disabled version", err, sdk.FailedPrecondition)
	page, err := st.List(t.Context(), sdk.ListRequest{PageSize: 10})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("list: %+v, %v; want no disabled secret", page, err)
	}
	put(t, st, "x", "two")
	wantValue(t, st, "x", "two")
	v, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "x", PageSize: 10})
	if err != nil || len(v.Versions) != 2 || !v.Versions[0].Current || v.Versions[1].State != sdk.StateDisabled {
		t.Errorf("versions: %+v, %v; want the new one current and the old one disabled", v, err)
	}
}

func TestASecretKeepsItsLabelsThroughEveryPut(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, set{"content_type": "application/json"})
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString("{}"), Description: "of the gateway", Labels: map[string]string{"team": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Disable("x") // its tags are then in no answer but the list of versions
	other := opened(t, s, nil)
	if _, err := other.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString("{}"), Labels: map[string]string{"team": "b"}}); err != nil {
		t.Fatal(err)
	}
	m, err := other.Stat(t.Context(), sdk.StatRequest{Name: "x"})
	if err != nil || m.Description != "of the gateway" || len(m.Labels) != 1 || m.Labels["team"] != "a" {
		t.Errorf("stat: %+v, %v; want the description and labels of the first put", m, err)
	}
	got, err := other.Get(t.Context(), sdk.GetRequest{Name: "x"})
	if err != nil || got.MediaType != "application/json" {
		t.Errorf("get: media type %q, %v; want that of the first put", got.MediaType, err)
	}
}

func TestWhatAVaultCannotHoldIsRefusedBeforeAnyRequest(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	tags := map[string]string{}
	for i := range 16 {
		tags[fmt.Sprint("tag", i)] = "v"
	}
	for what, r := range map[string]sdk.PutRequest{
		"a large value":    {Name: "x", Value: sdk.SensitiveString(strings.Repeat("v", maxValue+1))},
		"bytes":            {Name: "x", Value: sdk.NewSensitive([]byte{0xff, 0xfe})},
		"a name":           {Name: "x/y", Value: sdk.SensitiveString("v")},
		"many labels":      {Name: "x", Value: sdk.SensitiveString("v"), Labels: tags},
		"a long label":     {Name: "x", Value: sdk.SensitiveString("v"), Labels: map[string]string{"k": strings.Repeat("v", 513)}},
		"a label of ours":  {Name: "x", Value: sdk.SensitiveString("v"), Labels: map[string]string{nameTag: "v"}},
		"a label unnamed":  {Name: "x", Value: sdk.SensitiveString("v"), Labels: map[string]string{"": "v"}},
		"a second comment": {Name: "x", Value: sdk.SensitiveString("v"), Description: "d", Labels: map[string]string{description: "v"}},
	} {
		_, err := st.Put(t.Context(), r)
		wantCode(t, "put of "+what, err, sdk.InvalidArgument)
	}
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x", Version: "latest"})
	wantCode(t, "get of a version that none is like", err, sdk.InvalidArgument)
	if got := s.Requests(); len(got) > 0 {
		t.Errorf("the vault saw %v", got)
	}
	put(t, st, "x", strings.Repeat("v", maxValue))
}

func TestPurgeProtectionIsToldAndTheSecretStaysRecoverable(t *testing.T) {
	s := azurekv.Start(t)
	s.Protect()
	st := opened(t, s, nil)
	put(t, st, "x", "one")
	_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x", Purge: true})
	wantCode(t, "purge", err, sdk.FailedPrecondition)
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "x"}); err != nil {
		t.Fatalf("restore: %v", err)
	}
	wantValue(t, st, "x", "one")
}

func TestDeleteAndPurgeAnswerWhenTheyAreDone(t *testing.T) {
	s := azurekv.Start(t)
	s.Looks(4)
	st := opened(t, s, nil)
	put(t, st, "x", "one")
	d, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x"})
	if err != nil || !d.Recoverable || d.Until.Before(time.Now()) {
		t.Errorf("delete: %+v, %v; want recoverable until some day", d, err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get of a deleted secret", err, sdk.FailedPrecondition)
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "x"}); err != nil {
		t.Fatalf("restore: %v", err)
	}
	wantValue(t, st, "x", "one")
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x", Purge: true}); err != nil {
		t.Fatalf("purge: %v", err)
	}
	put(t, st, "x", "two") // the name is free at once

	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x"}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x", Purge: true}); err != nil {
		t.Errorf("purge of what is deleted already: %v", err)
	}
	_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "x", Purge: true})
	wantCode(t, "purge of nothing", err, sdk.NotFound)
	wantCode(t, "restore of nothing", st.Restore(t.Context(), sdk.RestoreRequest{Name: "x"}), sdk.NotFound)
}

func TestAListFollowsTheVaultsPages(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	var want []string
	for i := range 60 {
		name := fmt.Sprintf("n%02d", i)
		put(t, st, name, "v")
		want = append(want, name)
	}
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "n30"}); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(n string) bool { return n == "n30" })
	for _, size := range []int{1, 7, 25, 26, 500} {
		var got []string
		r := sdk.ListRequest{Prefix: "n", PageSize: size}
		for {
			page, err := st.List(t.Context(), r)
			if err != nil {
				t.Fatalf("list by %d: %v", size, err)
			}
			if len(page.Items) > size {
				t.Fatalf("list by %d: a page of %d", size, len(page.Items))
			}
			for _, m := range page.Items {
				got = append(got, m.Name)
			}
			if r.PageToken = page.Next; r.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("list by %d: %v, want %v", size, got, want)
		}
	}
	_, err := st.List(t.Context(), sdk.ListRequest{PageSize: 5, PageToken: "https://elsewhere.example/secrets"})
	wantCode(t, "list with a token of another", err, sdk.InvalidArgument)
}

func TestVersionsComeNewestFirst(t *testing.T) {
	st := opened(t, azurekv.Start(t), nil)
	var last string
	for i := range 30 {
		last = put(t, st, "x", fmt.Sprint("value", i))
	}
	seen := map[string]bool{}
	r := sdk.VersionsRequest{Name: "x", PageSize: 8}
	for first := true; first || r.PageToken != ""; first = false {
		page, err := st.Versions(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range page.Versions {
			if v.Current != (first && i == 0) || v.Current && v.Version != last {
				t.Errorf("version %d of a page: %+v; want the last one put, %s, first and current", i, v, last)
			}
			seen[v.Version] = true
		}
		r.PageToken = page.Next
	}
	if len(seen) != 30 {
		t.Errorf("%d versions, want 30", len(seen))
	}
}

func TestCheckTellsWhoWeAreAndWhatWeMayNot(t *testing.T) {
	s := azurekv.Start(t)
	r, err := opened(t, s, nil).Check(t.Context())
	want := "application " + azurekv.ClientID + " (object " + azurekv.ObjectID + ")"
	if err != nil || r.Identity != want || len(r.Notes) != 0 {
		t.Errorf("check: %+v, %v; want %q", r, err, want)
	}
	s.Deny(func(action, _ string) bool { return action == "list" })
	if r, err = opened(t, s, nil).Check(t.Context()); err != nil || r.Identity != want || len(r.Notes) != 1 {
		t.Errorf("check without the permission to list: %+v, %v; want %q and a note", r, err, want)
	}
	s.Deny(func(string, string) bool { return true })
	_, err = opened(t, s, nil).Check(t.Context())
	wantCode(t, "check without any permission", err, sdk.PermissionDenied)
}
