package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/awssm"
	"github.com/keyway-dev/keyway/sdk"
)

// race makes eight puts at once and gives how many held; the others must have the code.
func race(t *testing.T, st *store, condition sdk.Precondition, lost sdk.Code) int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for i := range 8 {
		wg.Go(func() {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "a", Value: text(fmt.Sprint(i)), If: condition})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else {
				wantCode(t, "a loser", err, lost)
			}
		})
	}
	wg.Wait()
	return won
}

func TestOfManyWritersOneCreatesAndOneReplaces(t *testing.T) {
	st := opened(t, awssm.Start(t).URL, nil)
	if won := race(t, st, sdk.IfAbsent(), sdk.AlreadyExists); won != 1 {
		t.Errorf("%d writers created the secret, want one", won)
	}
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if won := race(t, st, sdk.IfVersion(s.Version), sdk.Aborted); won != 1 {
		t.Errorf("%d writers replaced the same version, want one", won)
	}
}

func TestPlainPutsOfManyWritersAllHold(t *testing.T) {
	st := opened(t, awssm.Start(t).URL, nil)
	if won := race(t, st, sdk.Precondition{}, sdk.OK); won != 8 {
		t.Errorf("%d of 8 puts held", won)
	}
}

func TestAWriteWhoseAnswerIsLostHappensOnce(t *testing.T) {
	for _, action := range []string{"CreateSecret", "PutSecretValue", "UpdateSecretVersionStage"} {
		srv := awssm.Start(t)
		st := opened(t, srv.URL, nil)
		r, want := sdk.PutRequest{Name: "a", Value: text("w"), If: sdk.IfAbsent()}, 1
		if action != "CreateSecret" {
			r.If, want = sdk.IfVersion(put(t, st, sdk.PutRequest{Name: "a", Value: text("v")})), 2
		}
		srv.Lost = []string{action}
		put(t, st, r)
		wantValue(t, st, "a", "w")
		page, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 10})
		if err != nil || len(page.Versions) != want || !page.Versions[0].Current {
			t.Errorf("%s: versions %+v, %v; want %d, the current one first", action, page.Versions, err, want)
		}
	}
}

func TestADeletedSecretIsToBeRestoredFirst(t *testing.T) {
	srv := awssm.Start(t)
	srv.PurgeLooks = 2
	st := opened(t, srv.URL, set{"recovery_days": 9})
	v := put(t, st, sdk.PutRequest{Name: "a", Value: text("v")})
	for range 2 { // a second delete changes nothing
		r, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "a"})
		if err != nil || !r.Recoverable || !r.Until.IsZero() && time.Until(r.Until) < 8*24*time.Hour {
			t.Errorf("delete: %+v, %v; want recoverable for 9 days", r, err)
		}
	}
	for _, condition := range []sdk.Precondition{{}, sdk.IfAbsent(), sdk.IfVersion(v)} {
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: "a", Value: text("w"), If: condition})
		wantCode(t, "put on a deleted secret", err, sdk.FailedPrecondition)
	}
	_, err := st.Stat(t.Context(), sdk.StatRequest{Name: "a"})
	wantCode(t, "stat of a deleted secret", err, sdk.FailedPrecondition)
	page, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "a", PageSize: 1})
	if err != nil || len(page.Versions) != 1 || page.Versions[0].State != sdk.StateDeleted {
		t.Errorf("versions of a deleted secret: %+v, %v", page, err)
	}
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	wantValue(t, st, "a", "v")
	for _, purge := range []bool{false, true} {
		if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "a", Purge: purge}); err != nil {
			t.Errorf("delete, purge %v: %v", purge, err)
		}
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, "get of a purged secret", err, sdk.NotFound)
	wantCode(t, "restore of a purged secret", st.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}), sdk.NotFound)
}

func TestReplicasAreMadeWithASecretAndGoBeforeIt(t *testing.T) {
	srv := awssm.Start(t)
	st := opened(t, srv.URL, set{"replica_regions": []string{"us-east-1", "us-east-2"}, "kms_key_id": "alias/gateway"})
	for _, purge := range []bool{false, true} {
		name := fmt.Sprint("a", purge)
		put(t, st, sdk.PutRequest{Name: name, Value: text("v")})
		if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: purge}); err != nil {
			t.Errorf("delete with replicas: %v", err)
		}
	}
	if n := srv.Calls("RemoveRegionsFromReplication"); n != 2 {
		t.Errorf("replicas were removed %d times, want 2", n)
	}
}

func TestAReplicaThatMayNotBeRemovedKeepsItsSecret(t *testing.T) {
	srv := awssm.Start(t)
	srv.Forbidden = []string{"RemoveRegionsFromReplication"}
	st := opened(t, srv.URL, set{"replica_regions": []string{"us-east-1"}})
	put(t, st, sdk.PutRequest{Name: "a", Value: text("v")})
	_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "a"})
	wantCode(t, "delete", err, sdk.PermissionDenied)
	wantValue(t, st, "a", "v")
}

func TestAnIdempotencyKeyIsForOneValue(t *testing.T) {
	st := opened(t, awssm.Start(t).URL, nil)
	r := sdk.PutRequest{Name: "a", Value: text("v"), IdempotencyKey: strings.Repeat("k", 32)}
	first, second := put(t, st, r), put(t, st, r)
	if first != second || first != r.IdempotencyKey {
		t.Errorf("two puts with one key made the versions %q and %q", first, second)
	}
	r.If = sdk.IfAbsent()
	if got := put(t, st, r); got != first {
		t.Errorf("the repeated creation made version %q", got)
	}
	r.If, r.Value = sdk.Precondition{}, text("canary")
	_, err := st.Put(t.Context(), r)
	wantCode(t, "another value with the same key", err, sdk.InvalidArgument)
}
