package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
)

type model struct {
	Name   string
	APIKey *host.Live `json:"api_key"`
}

type gateway struct {
	Models []model
	ByName map[string]*model
	Header *host.Live
	unset  *host.Live
}

func TestBindMakesEveryLiveOfAStructLive(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("a", "va")
	f.backend.Set("b", "vb")
	var cfg gateway
	if err := json.Unmarshal([]byte(`{"Models": [{"Name": "x", "api_key": "secret://prod/a"}, {"Name": "y"}],
		"ByName": {"z": {"api_key": "secret://prod/b"}}, "Header": "Bearer ${secret://prod/a}"}`), &cfg); err != nil {
		t.Fatal(err)
	}
	if err := f.Bind(t.Context(), &cfg); err != nil {
		t.Fatal(err)
	}
	for l, want := range map[*host.Live]string{cfg.Models[0].APIKey: "va", cfg.ByName["z"].APIKey: "vb", cfg.Header: "Bearer va"} {
		v, err := l.Load()
		if err != nil || v.Text() != want {
			t.Errorf("Load of %s: %v, want %q", l, err, want)
		}
	}
	if _, err := cfg.unset.Load, cfg.unset; err != nil {
		t.Error("a nil Live was bound")
	}
	out, err := json.Marshal(cfg)
	if err != nil || !strings.Contains(string(out), "secret://prod/a") || strings.Contains(string(out), `"va"`) {
		t.Errorf("a bound configuration marshals to %s, %v; want references and no value", out, err)
	}
	if s := fmt.Sprintf("%v %+v %s", cfg, cfg, cfg.Header); strings.Contains(s, "va") {
		t.Errorf("a bound configuration prints a value: %s", s)
	}
}

func TestBindNamesEveryFieldThatFailsAndBindsTheRest(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("a", "va")
	cfg := gateway{Models: []model{{APIKey: host.NewLive("secret://prod/a")}, {APIKey: host.NewLive("secret://prod/absent")},
		{APIKey: host.NewLive("secret://prod/../x")}}}
	err := f.Bind(t.Context(), &cfg)
	for _, want := range []string{"Models[1].APIKey", "secret://prod/absent", "Models[2].APIKey"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not hold %q: %v", want, err)
		}
	}
	if v, err := cfg.Models[0].APIKey.Load(); err != nil || v.Text() != "va" {
		t.Errorf("the good field was not bound: %v", err)
	}
	if _, err := cfg.Models[2].APIKey.Load(); !errors.Is(err, sdk.FailedPrecondition) {
		t.Errorf("Load of a Live that could not be bound: %v, want failed precondition", err)
	}
	type byValue struct{ L host.Live }
	if err := f.Bind(t.Context(), &byValue{}); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("Bind of a Live by value: %v, want invalid argument", err)
	}
}

func TestALiveValueFollowsItsSecret(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("k", "v1")
	l, err := f.Live(t.Context(), "Bearer ${secret://prod/k}")
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan string)
	changes := l.Changes(t.Context())
	go func() {
		for v, err := range changes {
			if err != nil {
				next <- err.Error()
				continue
			}
			next <- v.Text()
		}
	}()
	for i := 2; i < 5; i++ {
		want := fmt.Sprintf("Bearer v%d", i)
		f.backend.Set("k", fmt.Sprintf("v%d", i))
		for got := ""; got != want; {
			got = <-next
		}
	}
	f.backend.Delete("k")
	for got := ""; !strings.Contains(got, "secret://prod/k"); {
		got = <-next
	}
	if _, err := l.Load(); !errors.Is(err, sdk.NotFound) && !errors.Is(err, sdk.FailedPrecondition) {
		t.Errorf("Load after the secret was deleted: %v, want not found or failed precondition", err)
	}
}

func TestALiveOfABackendThatIsDownComesToLifeByItself(t *testing.T) {
	b := example.NewBackend()
	b.Set("k", "v")
	b.Fail("k", sdk.Errorf(sdk.Unavailable, "down"))
	f, err := tryOpen(t, b, oneStore, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := f.Live(t.Context(), "secret://prod/k")
	if l == nil || !host.Retryable(err) {
		t.Fatalf("Live of a backend that is down: %v, %v; want a Live and a retryable error", l, err)
	}
	if _, err := l.Load(); !errors.Is(err, sdk.Unavailable) {
		t.Errorf("Load: %v, want unavailable", err)
	}
	b.Fail("k", nil)
	for {
		if v, err := l.Load(); err == nil {
			if v.Text() != "v" {
				t.Error("another value came")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestARejectedValueIsReadOnceHoweverManyRequestsFail(t *testing.T) {
	f := open(t, `
stores:
  prod: {provider: example, access: read_write}
`, nil)
	f.backend.Set("k", "v1")
	l, err := f.Live(t.Context(), "secret://prod/k")
	if err != nil {
		t.Fatal(err)
	}
	seen, _ := l.Load()
	before := f.backend.CallsOf("get", "k")
	for range 50 {
		v, err := l.Reject(t.Context(), seen)
		if !errors.Is(err, host.ErrUnchanged) || v == nil {
			t.Fatalf("Reject of a value that is still the store's: %v, want ErrUnchanged", err)
		}
	}
	if n := f.backend.CallsOf("get", "k") - before; n > 1 {
		t.Errorf("%d reads for 50 rejections, want at most 1", n)
	}
	f.backend.Set("k", "v2")
	for {
		if v, err := l.Reject(t.Context(), seen); err == nil && v.Text() == "v2" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestLivesKeepTheirLastValueAfterClose(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("k", "v")
	l, err := f.Live(t.Context(), "secret://prod/k")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v, err := l.Load(); err != nil || v.Text() != "v" {
		t.Errorf("Load after Close: %v, want the last value", err)
	}
	if _, err := f.Resolve(t.Context(), "secret://prod/other"); sdk.CodeOf(err) == sdk.OK {
		t.Error("a closed host resolved")
	}
}

func TestLoadIsOneAtomicLoadWithoutAllocation(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("k", `{"a": "v"}`)
	l, err := f.Live(t.Context(), "secret://prod/k#/a")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Load() }); n != 0 {
		t.Errorf("Load: %v allocations, want 0", n)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = f.Resolve(ctx, "secret://prod/k#/a") }); n != 0 {
		t.Errorf("cached Resolve: %v allocations, want 0", n)
	}
}
