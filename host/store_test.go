package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
	"github.com/keyway-dev/keyway/sdk/serve"
)

func storeOf(t *testing.T, f fixture, name string) *host.Store {
	t.Helper()
	s, err := f.Store(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *host.Store, r sdk.PutRequest) {
	t.Helper()
	if _, err := s.Put(t.Context(), r); err != nil {
		t.Fatalf("Put(%q): %v", r.Name, err)
	}
}

func TestAWriteIsSeenByTheNextReadThroughTheCache(t *testing.T) {
	f := open(t, oneStore, nil)
	s := storeOf(t, f, "prod")
	put(t, s, sdk.PutRequest{Name: "k", Value: sdk.SensitiveString("1")})
	f.expect(t, "secret://prod/k", "1")
	put(t, s, sdk.PutRequest{Name: "k", Value: sdk.SensitiveString("2")})
	f.expect(t, "secret://prod/k", "2")
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "k"}); err != nil {
		t.Fatal(err)
	}
	f.refuse(t, "secret://prod/k", sdk.FailedPrecondition)
	if err := s.Restore(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "secret://prod/k", "2")
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "never-was"}); err != nil {
		t.Errorf("Delete of what is not there: %v, want no error: it is done", err)
	}
}

func TestRotateReadsBackAndLosesToNobody(t *testing.T) {
	f := open(t, oneStore, nil)
	s := storeOf(t, f, "prod")
	if _, err := s.Rotate(t.Context(), "k", sdk.SensitiveString("x")); !errors.Is(err, sdk.NotFound) {
		t.Errorf("Rotate of a secret that does not exist: %v, want not found", err)
	}
	put(t, s, sdk.PutRequest{Name: "k", Value: sdk.SensitiveString("1")})
	v, err := s.Rotate(t.Context(), "k", sdk.SensitiveString("2"))
	if err != nil || v.Text() != "2" {
		t.Errorf("Rotate: %v, want the new value", err)
	}
	n := 0
	for _, err := range s.Versions(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d versions after one rotation, want 2", n)
	}
}

func TestConcurrentWritersOfOneDocumentLoseNoField(t *testing.T) {
	f := open(t, `
stores:
  doc: {provider: example, access: read_write, document: all}
`, nil)
	s := storeOf(t, f, "doc")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := s.Put(t.Context(), sdk.PutRequest{Name: fmt.Sprintf("f%d", i), Value: sdk.SensitiveString(fmt.Sprintf("<v%d>", i))})
			if err != nil {
				t.Errorf("Put of field %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		f.expect(t, fmt.Sprintf("secret://doc/f%d", i), fmt.Sprintf("<v%d>", i))
	}
	if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "f0", Value: sdk.SensitiveString("x"), If: sdk.IfAbsent()}); !errors.Is(err, sdk.AlreadyExists) {
		t.Errorf("IfAbsent on a field that exists: %v, want already exists", err)
	}
	if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "bin", Value: sdk.NewSensitive([]byte{0xff})}); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("a field that is no text: %v, want invalid argument", err)
	}
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "f0"}); !errors.Is(err, sdk.Unimplemented) {
		t.Errorf("Delete of a field: %v, want unimplemented", err)
	}
}

func TestOneMemberOfADocumentIsWrittenAndTheRestStaysAsItWas(t *testing.T) {
	f := open(t, oneStore, nil)
	s := storeOf(t, f, "prod")
	f.backend.Set("doc", `{ "b": 1.0, "a": {"key": "old", "other": "x"} }`)
	if _, err := s.PutAt(t.Context(), "/a/key", sdk.PutRequest{Name: "doc", Value: sdk.SensitiveString("new")}); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "secret://prod/doc", `{ "b": 1.0, "a": {"key": "new", "other": "x"} }`)
	f.expect(t, "secret://prod/doc#/a/key", "new")
	if _, err := s.PutAt(t.Context(), "/k", sdk.PutRequest{Name: "none-yet", Value: sdk.SensitiveString("v")}); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "secret://prod/none-yet", `{"k":"v"}`)

	f.backend.Set("text", "no document")
	for name, c := range map[string]struct {
		pointer string
		request sdk.PutRequest
		want    sdk.Code
	}{
		"a secret that is no document": {"/k", sdk.PutRequest{Name: "text"}, sdk.FailedPrecondition},
		"a pointer that is none":       {"k", sdk.PutRequest{Name: "doc"}, sdk.InvalidArgument},
		"a member that exists":         {"/a/key", sdk.PutRequest{Name: "doc", If: sdk.IfAbsent()}, sdk.AlreadyExists},
		"another version":              {"/a/key", sdk.PutRequest{Name: "doc", If: sdk.IfVersion("999")}, sdk.Aborted},
		"through a text":               {"/a/key/deep", sdk.PutRequest{Name: "doc"}, sdk.FailedPrecondition},
	} {
		c.request.Value = sdk.SensitiveString("v")
		if _, err := s.PutAt(t.Context(), c.pointer, c.request); sdk.CodeOf(err) != c.want {
			t.Errorf("PutAt(%q) on %s: %v, want %v", c.pointer, name, err, c.want)
		}
	}
	f.expect(t, "secret://prod/doc#/a/key", "new")
	f.expect(t, "secret://prod/text", "no document")
}

func TestBadNamesAndValuesNeverReachTheProvider(t *testing.T) {
	f := open(t, oneStore, nil)
	s := storeOf(t, f, "prod")
	for _, r := range []sdk.PutRequest{
		{Name: "", Value: sdk.SensitiveString("v")},
		{Name: "a/../b", Value: sdk.SensitiveString("v")},
		{Name: "a\nb", Value: sdk.SensitiveString("v")},
		{Name: "a"},
		{Name: "a", Value: sdk.NewSensitive(make([]byte, sdk.MaxValue+1))},
	} {
		if _, err := s.Put(t.Context(), r); !errors.Is(err, sdk.InvalidArgument) {
			t.Errorf("Put(%q, %d bytes): %v, want invalid argument", r.Name, r.Value.Len(), err)
		}
	}
	if n := f.backend.CallsOf("put", ""); n != 0 {
		t.Errorf("%d writes reached the provider, want 0", n)
	}
}

func TestListGoesOnPastAPageAndHoldsNoValue(t *testing.T) {
	f := open(t, oneStore, nil)
	for i := range 1201 {
		f.backend.Set(fmt.Sprintf("p/%04d", i), "canary-value")
	}
	f.backend.Set("q", "x")
	n := 0
	for m, err := range storeOf(t, f, "prod").List(t.Context(), "p/") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.Name, "p/") || strings.Contains(fmt.Sprintf("%+v", m), "canary") {
			t.Errorf("List gave %+v", m)
		}
		n++
	}
	if n != 1201 {
		t.Errorf("%d names, want 1201", n)
	}
}

func TestConcurrencyAndRateAreTheStoresOwn(t *testing.T) {
	f := open(t, `
stores:
  slow: {provider: example, settings: {seed: {a: v, b: v, c: v}}, limits: {concurrency: 2, timeout: 30s}}
  rare: {provider: example, settings: {seed: {a: v}}, limits: {rate: 1/h, burst: 1, timeout: 1s}}
`, nil)
	release := f.backend.Hang("a")
	slow := storeOf(t, f, "slow")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = slow.Get(t.Context(), "a", "") })
	}
	for f.backend.CallsOf("get", "a") < 2 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := slow.Get(ctx, "b", ""); !errors.Is(err, sdk.DeadlineExceeded) || !strings.Contains(err.Error(), "concurrency") {
		t.Errorf("a third call on a store of two places: %v, want its deadline and the setting's name", err)
	}
	release()
	wg.Wait()
	rare := storeOf(t, f, "rare")
	if _, err := rare.Get(t.Context(), "a", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := rare.Get(t.Context(), "a", ""); !errors.Is(err, sdk.ResourceExhausted) {
		t.Errorf("a second call within the hour: %v, want resource exhausted", err)
	}
}

func TestThrottlingStopsCallsUntilTheBackendsTime(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("k", "v")
	f.backend.Set("other", "v")
	err := sdk.Errorf(sdk.ResourceExhausted, "slow down")
	err.RetryAfter = time.Hour
	f.backend.Fail("k", err)
	f.refuse(t, "secret://prod/k", sdk.ResourceExhausted)
	got := f.refusal(t, "secret://prod/other", sdk.ResourceExhausted)
	if e, ok := errors.AsType[*sdk.Error](got); !ok || e.RetryAfter < 59*time.Minute {
		t.Errorf("the error does not say how long: %v", got)
	}
	if n := f.backend.CallsOf("get", "other"); n != 0 {
		t.Errorf("%d reads reached a backend that asked to wait, want 0", n)
	}
}

// Many stores share a few places in a process. Whatever is evicted while it is read, no read fails.
func TestEvictionNeverFailsARead(t *testing.T) {
	b := example.NewBackend()
	b.Set("k", "v")
	yaml := "stores:\n"
	for i := range 20 {
		yaml += fmt.Sprintf("  s%d: {provider: example}\n", i)
	}
	f, err := tryOpen(t, b, yaml, nil, host.WithOpenStores(3))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var reads atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for i := range 150 {
				s, err := f.Store(fmt.Sprintf("s%d", (g*7+i)%20))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Get(t.Context(), "k", ""); err != nil {
					t.Errorf("read %d: %v", i, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	wg.Wait()
	open := 0
	for _, s := range f.Stores() {
		if s.Open {
			open++
		}
	}
	if open > 3 {
		t.Errorf("%d stores are open after %d reads, want at most 3", open, reads.Load())
	}
}

// The net under everything: a plugin that has lost its memory.
func TestAHandleThatThePluginForgotIsOpenedAnew(t *testing.T) {
	b := example.NewBackend()
	b.Set("k", "v")
	conn, stop := serve.Pipe(b.Plugin())
	defer stop()
	f, err := tryOpen(t, b, oneStore, nil, host.WithProvider("example", conn))
	if err != nil {
		t.Fatal(err)
	}
	s := storeOf(t, f, "prod")
	for i := 1; i <= 3; i++ {
		if _, err := pb.NewPluginClient(conn).Close(t.Context(), &pb.CloseRequest{Store: fmt.Sprintf("prod~%d", i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "k", ""); err != nil {
			t.Errorf("a read on a handle that was closed behind the host's back: %v", err)
		}
	}
}
