package example

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func open1(t *testing.T, b *Backend, settings string) *store {
	t.Helper()
	o, err := b.Plugin().Open(t.Context(), sdk.Env{}, []byte(settings))
	if err != nil {
		t.Fatalf("Open(%s): %v", settings, err)
	}
	return o.Store.(*store)
}

func (st *store) value(t *testing.T, name string) string {
	t.Helper()
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil {
		return sdk.CodeOf(err).String()
	}
	return string(s.Value.Reveal())
}

func TestReopenedStoreKeepsItsData(t *testing.T) {
	b := NewBackend()
	const settings = `{"seed":{"a":"1","b":"1"}}`
	first := open1(t, b, settings)
	b.Set("a", "2")
	if _, err := first.Delete(t.Context(), sdk.DeleteRequest{Name: "b", Purge: true}); err != nil {
		t.Fatal(err)
	}
	again, other := open1(t, b, settings), open1(t, b, `{"data":"other","seed":{"a":"3"}}`)
	if got := again.value(t, "a"); got != "2" {
		t.Errorf("a after reopening: %s, want 2: a seed is planted once", got)
	}
	if got := again.value(t, "b"); got != "not found" {
		t.Errorf("b after purge and reopening: %s, want not found", got)
	}
	if got := other.value(t, "a"); got != "3" {
		t.Errorf("a in other data: %s, want 3", got)
	}
}

func TestTwoPluginsShareNothing(t *testing.T) {
	open1(t, NewBackend(), `{"seed":{"a":"1"}}`)
	if got := open1(t, NewBackend(), `{}`).value(t, "a"); got != "not found" {
		t.Errorf("a of another plugin: %s, want not found", got)
	}
}

func TestSettingsReportEveryFaultAndNoValue(t *testing.T) {
	const settings = `{"prefix":"a\u0001","seed":{"x/../y":"v","empty":""},"denied":["ok",""]}`
	_, err := Plugin().Open(t.Context(), sdk.Env{}, []byte(settings))
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.InvalidArgument {
		t.Fatalf("Open: %v, want InvalidArgument", err)
	}
	var paths []string
	for _, p := range e.Problems {
		paths = append(paths, p.Path)
	}
	if got, want := fmt.Sprint(paths), "[/prefix /seed/empty /seed/empty /seed/x~1..~1y /denied/1]"; got != want {
		t.Errorf("paths %s, want %s", got, want)
	}
}

func TestLoginAndDenied(t *testing.T) {
	b := NewBackend()
	b.Set("a", "1") // the cases come in any order
	for settings, want := range map[string]sdk.Code{
		`{"seed":{"a":"1"}}`:                                sdk.OK,
		`{"token":"t","require_token":"t"}`:                 sdk.OK,
		`{"token":"u","require_token":"t"}`:                 sdk.Unauthenticated,
		`{"require_token":"t"}`:                             sdk.Unauthenticated,
		`{"denied":["a"]}`:                                  sdk.PermissionDenied,
		`{"denied":["a"],"token":"u","require_token":"t"}`:  sdk.Unauthenticated,
		`{"prefix":"p/","seed":{"a":"1"},"read_only":true}`: sdk.OK,
	} {
		_, err := open1(t, b, settings).Get(t.Context(), sdk.GetRequest{Name: "a"})
		if got := sdk.CodeOf(err); got != want {
			t.Errorf("Get with %s: code %v, want %v (%v)", settings, got, want, err)
		}
	}
}

func TestReadOnlyStoreClaimsNoWrites(t *testing.T) {
	o, err := Plugin().Open(t.Context(), sdk.Env{}, []byte(`{"read_only":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.Capabilities.String(), "get,get.version,get_batch,stat,list,versions,encrypt,decrypt,aad,watch"; got != want {
		t.Errorf("capabilities %s, want %s", got, want)
	}
}

func TestDeletedSecretIsGoneWhenItsWindowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackend()
		st := open1(t, b, `{"seed":{"a":"1"}}`)
		r, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "a", RecoveryWindow: time.Hour})
		if err != nil || !r.Recoverable || !r.Until.Equal(time.Now().Add(time.Hour)) {
			t.Fatalf("Delete: %+v, %v, want recoverable for an hour", r, err)
		}
		if got := st.value(t, "a"); got != "failed precondition" {
			t.Errorf("Get inside the window: %s, want failed precondition", got)
		}
		<-time.After(time.Hour)
		if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}); !errors.Is(err, sdk.NotFound) {
			t.Errorf("Restore after the window: %v, want NotFound", err)
		}
	})
}

func TestRepeatedPutAddsNoVersion(t *testing.T) {
	st := open1(t, NewBackend(), `{}`)
	put := sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("1"), If: sdk.IfAbsent(), IdempotencyKey: "0123456789abcdef0123456789abcdef"}
	first, err1 := st.Put(t.Context(), put)
	second, err2 := st.Put(t.Context(), put)
	if err1 != nil || err2 != nil || first != second {
		t.Errorf("Put, and again: %v, %v and %v, %v, want one version and no error", first, err1, second, err2)
	}
}

func TestVersionIDsAreNeverReused(t *testing.T) {
	b := NewBackend()
	old := b.Set("a", "1")
	b.Delete("a")
	if again := b.Set("a", "2"); again == old {
		t.Errorf("after a purge the name got version %s a second time", again)
	}
}

func TestFailAndCount(t *testing.T) {
	b := NewBackend()
	st := open1(t, b, `{"prefix":"p/","seed":{"a":"1","b":"2"}}`)
	b.Fail("p/a", sdk.Errorf(sdk.Unavailable, "sealed"))
	res, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"a", "b"}})
	if err != nil || !errors.Is(res[0].Err, sdk.Unavailable) || res[1].Err != nil {
		t.Errorf("GetBatch while a fails: %v, %v", res, err)
	}
	b.Fail("", errors.New("disk on fire"))
	if got := st.value(t, "b"); got != "internal" {
		t.Errorf("Get while everything fails: %s, want internal", got)
	}
	b.Fail("", nil)
	if got := st.value(t, "b"); got != "2" {
		t.Errorf("Get after Fail(\"\", nil): %s, want 2", got)
	}
	if got := [3]int{b.Calls(), b.CallsOf("get", "p/b"), b.CallsOf("get_batch", "p/a")}; got != [3]int{3, 2, 1} {
		t.Errorf("calls, get of b, batch with a: %v, want [3 2 1]", got)
	}
}

func TestHangEndsWithReleaseOrContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackend()
		st := open1(t, b, `{"seed":{"a":"1"}}`)
		release := b.Hang("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := st.Get(ctx, sdk.GetRequest{Name: "a"}); !errors.Is(err, sdk.DeadlineExceeded) {
			t.Errorf("Get past its deadline: %v, want DeadlineExceeded", err)
		}
		got := make(chan string, 1)
		go func() { got <- st.value(t, "a") }()
		synctest.Wait()
		release()
		release()
		if v := <-got; v != "1" {
			t.Errorf("Get after release: %s, want 1", v)
		}
	})
}

func TestSlowWatcherHearsThatAnythingMayHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackend()
		st := open1(t, b, `{"prefix":"p/"}`)
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan sdk.Event)
		done := make(chan error, 1)
		go func() { done <- st.Watch(ctx, func(e sdk.Event) error { events <- e; return nil }) }()
		if e := <-events; e != (sdk.Event{}) {
			t.Errorf("first event %v, want the empty one", e)
		}
		b.Set("elsewhere", "1")
		v := b.Set("p/a", "1")
		if e := <-events; e != (sdk.Event{Name: "a", Version: v}) {
			t.Errorf("event %v, want a at version %s", e, v)
		}
		b.Set("p/a", "2")
		synctest.Wait() // the watcher holds that event and reads no more
		for range maxPending + 1 {
			b.Set("p/b", "1")
		}
		<-events
		if e := <-events; e != (sdk.Event{}) {
			t.Errorf("event after an overflow %v, want the empty one", e)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch after cancel: %v, want Canceled", err)
		}
	})
}
