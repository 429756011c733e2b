//go:build e2e && unix

package vault_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func TestFourWritersOfOneDocumentLoseNoField(t *testing.T) {
	const writers, rounds = 4, 15
	for name, rules := range map[string]string{
		"by merge patch":   `capabilities = ["create","read","update","patch","delete"]`,
		"by check-and-set": `capabilities = ["create","read","update","delete"]`,
	} {
		t.Run(name, func(t *testing.T) {
			mount := srv.KV(t, 2)
			auth := tokenAuth(srv.NewToken(t, `path "`+mount+`/*" { `+rules+` }`))
			p := startPlugin(t)
			stores := make([]*dial.Store, writers)
			var wg sync.WaitGroup
			for i := range writers {
				stores[i] = reopen(t, p, srv, set{"mount": mount, "field": "field" + strconv.Itoa(i), "auth": auth})
				wg.Go(func() {
					for n := range rounds {
						if _, err := stores[i].Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(strconv.Itoa(n))}); err != nil {
							t.Errorf("writer %d: put %d: %v", i, n, err)
						}
					}
				})
			}
			wg.Wait()
			for _, st := range stores {
				wantValue(t, st, strconv.Itoa(rounds-1))
			}
		})
	}
}

func TestOfFourConditionalWritersOneWins(t *testing.T) {
	mount := srv.KV(t, 2)
	st := openStore(t, srv, set{"mount": mount, "auth": rootAuth(srv)})
	v := put(t, st, "x", `{"n":"0"}`)
	for condition, want := range map[sdk.Precondition]sdk.Code{sdk.IfVersion(v): sdk.Aborted, sdk.IfAbsent(): sdk.AlreadyExists} {
		name := map[bool]string{true: "new", false: "x"}[condition.Absent()]
		codes := make([]sdk.Code, 4)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() {
				_, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(fmt.Sprintf(`{"n":"%d"}`, i)), If: condition})
				codes[i] = sdk.CodeOf(err)
			})
		}
		wg.Wait()
		slices.Sort(codes)
		if !slices.Equal(codes, []sdk.Code{sdk.OK, want, want, want}) {
			t.Errorf("four writers got %v, want one ok and three %v", codes, want)
		}
	}
}

func TestWritersAndDeletersOfSiblingsDoNotHarmEachOther(t *testing.T) {
	mount := srv.KV(t, 2)
	p := startPlugin(t)
	open := func(field string) *dial.Store {
		return reopen(t, p, srv, set{"mount": mount, "field": field, "auth": rootAuth(srv)})
	}
	kept, churned := open("kept"), open("churned")
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 30 {
			put(t, churned, "x", "c")
			if _, err := churned.Delete(t.Context(), sdk.DeleteRequest{Name: "x"}); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
	})
	wg.Go(func() {
		for n := range 30 {
			value := strconv.Itoa(n)
			put(t, kept, "x", value)
			wantValue(t, kept, value)
		}
	})
	wg.Wait()
	wantValue(t, kept, "29")
	_, err := churned.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "the deleted field", err, sdk.NotFound)
}

func TestAMountThatDemandsCheckAndSetTakesPlainPuts(t *testing.T) {
	mount := srv.KV(t, 2)
	srv.Write(t, mount+"/config", set{"cas_required": true})
	p := startPlugin(t)
	for _, field := range []string{"", "key"} {
		st := reopen(t, p, srv, set{"mount": mount, "field": field, "path_prefix": "f" + field, "auth": rootAuth(srv)})
		put(t, st, "x", `{"a":"1"}`)
		put(t, st, "x", `{"a":"2"}`)
		wantValue(t, st, `{"a":"2"}`)
	}
}

func TestADeletedFieldOfItsOwnComesBackAndAPurgedOneDoesNot(t *testing.T) {
	mount := srv.KV(t, 2)
	st := openStore(t, srv, set{"mount": mount, "field": "key", "auth": rootAuth(srv)})
	put(t, st, "x", "v")
	r, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x"})
	if err != nil || !r.Recoverable {
		t.Fatalf("delete: %+v, %v; want recoverable", r, err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get after delete", err, sdk.FailedPrecondition)
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "x"}); err != nil {
		t.Errorf("restore: %v", err)
	}
	wantValue(t, st, "v")

	srv.Write(t, mount+"/data/y", set{"data": set{"key": "canary", "sibling": "s"}})
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "y", Purge: true}); err != nil {
		t.Errorf("purge: %v", err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "y", Version: "1"})
	wantCode(t, "the version that held the purged field", err, sdk.NotFound)
	if got := dataOf(srv.Read(t, mount+"/data/y"))["sibling"]; got != "s" {
		t.Errorf("the sibling of the purged field is %v, want s", got)
	}
}

func TestAListingGoesThroughFoldersAndPagesAndLeavesOutTheDeleted(t *testing.T) {
	mount := srv.KV(t, 2)
	st := openStore(t, srv, set{"mount": mount, "path_prefix": "gw", "auth": rootAuth(srv)})
	var want []string
	for i := range 520 {
		name := fmt.Sprintf("llm/%02d/key-%03d", i%20, i)
		srv.Write(t, mount+"/data/gw/"+name, set{"data": set{"a": "b"}})
		want = append(want, name)
	}
	srv.Write(t, mount+"/data/elsewhere", set{"data": set{"a": "b"}})
	srv.Write(t, mount+"/data/gw/other", set{"data": set{"a": "b"}})
	gone := want[7]
	want = slices.Delete(want, 7, 8)
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: gone}); err != nil {
		t.Fatalf("delete: %v", err)
	}
	slices.Sort(want)
	for _, size := range []int{500, 33} {
		var got []string
		r := sdk.ListRequest{Prefix: "llm/", PageSize: size}
		for {
			page, err := st.List(t.Context(), r)
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			for _, m := range page.Items {
				got = append(got, m.Name)
			}
			if r.PageToken = page.Next; r.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d names, want the %d live ones in order", size, len(got), len(want))
		}
	}
	page, err := st.List(t.Context(), sdk.ListRequest{Prefix: "llm/00/key-1", PageSize: 500})
	if err != nil || len(page.Items) != 5 {
		t.Errorf("names from llm/00/key-1: %d, %v; want 5", len(page.Items), err)
	}
}

func TestVersion1TellsWhenToReadAgainOnlyWhereADocumentSaysSo(t *testing.T) {
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/plain", set{"key": "v"})
	srv.Write(t, mount+"/hint", set{"key": "v", "ttl": "30m"})
	for _, field := range []string{"", "key"} {
		st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "field": field, "auth": rootAuth(srv)})
		s, err := st.Get(t.Context(), sdk.GetRequest{Name: "plain"})
		if err != nil || !s.Expires.IsZero() {
			t.Errorf("field %q: a document without ttl expires at %v, %v; want never", field, s.Expires, err)
		}
		s, err = st.Get(t.Context(), sdk.GetRequest{Name: "hint"})
		if left := time.Until(s.Expires); err != nil || left <= 0 || left > 30*time.Minute {
			t.Errorf("field %q: a document with a ttl of 30 minutes expires in %v, %v", field, left, err)
		}
	}
}
