package main

import (
	"slices"
	"testing"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
)

const parent = "projects/acme-prod/secrets/"

func disable(t *testing.T, srv *gcpsm.Server, version string) {
	t.Helper()
	if _, err := srv.DisableSecretVersion(t.Context(), &smpb.DisableSecretVersionRequest{Name: parent + version}); err != nil {
		t.Fatal(err)
	}
}

func alias(t *testing.T, srv *gcpsm.Server, id string, aliases map[string]int64) {
	t.Helper()
	_, err := srv.UpdateSecret(t.Context(), &smpb.UpdateSecretRequest{
		Secret: &smpb.Secret{Name: parent + id, VersionAliases: aliases}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"version_aliases"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAVersionIsANumberAnAliasOrAWord(t *testing.T) {
	srv, st := newStore(t, nil)
	for _, v := range []string{"one", "two", "three"} {
		put(t, st, "db", v)
	}
	alias(t, srv, "db", map[string]int64{"blue": 1})
	disable(t, srv, "db/versions/3")
	for version, want := range map[string]string{"1": "one", "2": "two", "blue": "one", latestEnabled: "two"} {
		wantValue(t, st, "db", version, want)
	}
	for version, want := range map[string]sdk.Code{"": sdk.FailedPrecondition, latest: sdk.FailedPrecondition, "3": sdk.FailedPrecondition, "4": sdk.NotFound, "green": sdk.NotFound} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db", Version: version})
		wantCode(t, "get version "+version, err, want)
	}
}

func TestTheCurrentVersionMayBeTheNewestEnabledOne(t *testing.T) {
	srv, st := newStore(t, set{"current": latestEnabled})
	put(t, st, "db", "one")
	put(t, st, "db", "two")
	before := len(srv.Calls())
	wantValue(t, st, "db", "", "two")
	if n := len(srv.Calls()) - before; n != 1 {
		t.Errorf("get of an enabled version took %d calls, want 1", n)
	}
	disable(t, srv, "db/versions/2")
	wantValue(t, st, "db", "", "one")
	if m, err := st.Stat(t.Context(), sdk.StatRequest{Name: "db"}); err != nil || m.Version != "1" {
		t.Errorf("stat: version %q (%v), want 1", m.Version, err)
	}
	disable(t, srv, "db/versions/1")
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get without an enabled version", err, sdk.FailedPrecondition)
}

func TestAStoreReadsWhatItWroteWhileLatestIsBehind(t *testing.T) {
	srv, st := newStore(t, nil)
	put(t, st, "db", "one")
	put(t, st, "db", "two")
	other := openStore(t, srv.Listen(t), nil)
	srv.Lag(1)
	wantValue(t, st, "db", "", "two")
	wantValue(t, st, "db", latest, "two")
	wantValue(t, other, "db", "", "one") // it has written nothing
	put(t, st, "new", "first")
	wantValue(t, st, "new", "", "first")
	srv.Lag(0)
	before := len(srv.Calls())
	wantValue(t, st, "db", "", "two")
	if n := len(srv.Calls()) - before; n != 1 {
		t.Errorf("get of a version that latest is took %d calls, want 1", n)
	}
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "db"}); err != nil {
		t.Fatal(err)
	}
	put(t, other, "db", "another")
	wantValue(t, st, "db", "", "another")
}

func TestVersionsHaveStatesAndAliasesAndOneIsCurrent(t *testing.T) {
	srv, st := newStore(t, set{"current": latestEnabled})
	for _, v := range []string{"1", "2", "3", "4"} {
		put(t, st, "db", v)
	}
	disable(t, srv, "db/versions/4")
	if _, err := srv.DestroySecretVersion(t.Context(), &smpb.DestroySecretVersionRequest{Name: parent + "db/versions/1"}); err != nil {
		t.Fatal(err)
	}
	alias(t, srv, "db", map[string]int64{"green": 2, "blue": 2})
	var all []sdk.Version
	for token := ""; ; {
		page, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "db", PageSize: 1, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Versions...)
		if token = page.Next; token == "" {
			break
		}
	}
	want := []sdk.Version{{Version: "4", State: sdk.StateDisabled}, {Version: "3", State: sdk.StateEnabled, Current: true},
		{Version: "2", State: sdk.StateEnabled, Aliases: []string{"blue", "green"}}, {Version: "1", State: sdk.StateDestroyed}}
	if !slices.EqualFunc(all, want, func(a, b sdk.Version) bool {
		return a.Version == b.Version && a.State == b.State && a.Current == b.Current && slices.Equal(a.Aliases, b.Aliases)
	}) {
		t.Errorf("versions:\n got %v\nwant %v", all, want)
	}
	srv.Deny("secretmanager.secrets.get", "db")
	if page, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "db", PageSize: 10}); err != nil || len(page.Versions) != 4 {
		t.Errorf("versions without the permission to see aliases: %d (%v), want 4", len(page.Versions), err)
	}
}

func TestAChecksumThatDoesNotHoldIsDataLoss(t *testing.T) {
	srv, st := newStore(t, nil)
	put(t, st, "db", "value")
	srv.Faults.Next(3, fault.Fault{WrongCRC: true})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get of a damaged value", err, sdk.DataLoss)
	srv.Faults.Next(1, fault.Fault{WrongCRC: true})
	wantValue(t, st, "db", "", "value") // the second attempt
}

func TestListKeepsToTheStoresOwnNames(t *testing.T) {
	srv, st := newStore(t, set{"prefix": "gw-"})
	put(t, st, "a", "x")
	put(t, st, "b", "x")
	other := openStore(t, srv.Listen(t), nil)
	put(t, other, "x-gw-c", "x")
	put(t, other, "gw-", "x") // no name of the first store
	page, err := st.List(t.Context(), sdk.ListRequest{PageSize: 10})
	var got []string
	for _, m := range page.Items {
		got = append(got, m.Name)
	}
	if want := []string{"a", "b"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("list: %q (%v), want %q", got, err, want)
	}
}
