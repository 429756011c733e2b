package host_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// bank is a host whose store is served by version 1.0.0 of a plugin, with the secret manager behind it.
type bank struct {
	*host.Host
	backend *candidates.Backend
	dir     string
	prod    *host.Store
}

func openBank(t *testing.T, extra string, opts ...host.Option) *bank {
	t.Helper()
	b := &bank{backend: candidates.NewBackend(t), dir: t.TempDir()}
	for _, name := range []string{"a", "b", "c"} {
		b.backend.Set(name, "value of "+name)
	}
	b.backend.Set(kinds.OtherSecret, "another")
	candidates.Build(t, kinds.Good, "1.0.0", b.dir)
	b.Host = b.open(t, extra, opts...)
	st, err := b.Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	b.prod = st
	b.read(t)
	return b
}

func (b *bank) config(t *testing.T, extra string) *config.Config {
	t.Helper()
	file := filepath.Join(b.dir, "keyway.yaml")
	settings := strings.Replace(b.backend.Settings(), candidates.Token, "secret://env/TOKEN", 1)
	text := "version: 1\nplugins: {dir: ." + extra + "}\nstores:\n  prod: {provider: bank, access: read_write, settings: " + settings + "}\n  spare: {provider: bank, settings: " + settings + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func (b *bank) open(t *testing.T, extra string, opts ...host.Option) *host.Host {
	t.Helper()
	h, err := host.Open(t.Context(), b.config(t, extra), append(opts, host.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, nil))),
		host.WithEnviron(func(name string) (string, bool) { return candidates.Token, name == "TOKEN" }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

// read reads every secret past the cache, so that a swap has something to compare.
func (b *bank) read(t *testing.T) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		v, err := b.prod.Get(t.Context(), name, "")
		if err != nil || v.Text() != "value of "+name {
			t.Fatalf("read %s: %v", name, err)
		}
	}
}

// version waits until the store is served by a version, and by nothing else.
func (b *bank) version(t *testing.T, want string) {
	t.Helper()
	until := time.Now().Add(30 * time.Second)
	for {
		got := ""
		for _, p := range b.Plugins() {
			if strings.Contains(strings.Join(p.Stores, " "), "prod") {
				got = p.Version
			}
		}
		if got == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("prod is served by %q, want %q", got, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// load reads and writes until it is stopped, and counts what fails.
func (b *bank) load(t *testing.T) (stop func() (calls, failed int64)) {
	t.Helper()
	live, err := b.Live(t.Context(), "secret://prod/a")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	var calls, failed atomic.Int64
	for i := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, err := b.prod.Get(context.Background(), "b", "")
				if i == 0 && err == nil {
					_, err = b.prod.Put(context.Background(), sdk.PutRequest{Name: "written", Value: sdk.SensitiveString("w")})
				}
				if err == nil {
					_, err = live.Load()
				}
				calls.Add(1)
				if err != nil {
					failed.Add(1)
					t.Errorf("a call failed: %v", err)
					return
				}
			}
		})
	}
	return func() (int64, int64) {
		close(done)
		wg.Wait()
		return calls.Load(), failed.Load()
	}
}

func TestSwapsUnderLoadFailNothing(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	stop := b.load(t)
	for i := range 10 {
		to := []string{"1.1.0", "1.0.0"}[i%2]
		var steps []string
		err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: to}, func(s host.SwapStep) { steps = append(steps, s.Step) })
		if err != nil {
			t.Fatalf("swap to %s: %v", to, err)
		}
		if got, want := strings.Join(steps, " "), "verify start open compare flip watch done"; got != want {
			t.Errorf("steps %q, want %q", got, want)
		}
		b.version(t, to)
	}
	calls, failed := stop()
	if failed != 0 || calls == 0 {
		t.Errorf("%d of %d calls failed, want none", failed, calls)
	}
}

func TestABadCandidateIsRefusedAndTheRunningOneUntouched(t *testing.T) {
	for kind, want := range map[kinds.Kind]sdk.Code{
		kinds.NewEndpoint: sdk.FailedPrecondition, kinds.ReadOnly: sdk.FailedPrecondition, kinds.CannotOpen: sdk.FailedPrecondition,
		kinds.NeedsSetting: sdk.InvalidArgument, kinds.CannotLogin: sdk.Unauthenticated, kinds.OtherName: sdk.Unavailable,
		kinds.OtherVersion: sdk.Unavailable, kinds.OtherValue: sdk.DataLoss, kinds.Refuses: sdk.InvalidArgument, kinds.Forgets: sdk.NotFound,
		kinds.Panics: sdk.Internal, kinds.Crashes: sdk.Unavailable, kinds.Big: sdk.DataLoss, kinds.Empty: sdk.Internal,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := openBank(t, "")
			candidates.Build(t, kind, "1.1.0", b.dir)
			before := b.Plugins()[0]
			err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil)
			if sdk.CodeOf(err) != want || !strings.Contains(err.Error(), "bank") {
				t.Errorf("swap: %v (%v), want %v, and the plugin named", err, sdk.CodeOf(err), want)
			}
			b.version(t, "1.0.0")
			b.read(t)
			after := b.Plugins()[0]
			if after.PID != before.PID || after.Restarts != 0 {
				t.Errorf("process %d with %d restarts, want %d as before", after.PID, after.Restarts, before.PID)
			}
		})
	}
}

func TestASingleUseLoginRefusesTheSwapAndKeepsTheSession(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	b.backend.SingleUse()
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); !errors.Is(err, sdk.Unauthenticated) {
		t.Errorf("swap with a credential that logs in once: %v, want unauthenticated", err)
	}
	b.read(t)
}

func TestADryRunChangesNothing(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0", DryRun: true}, nil); err != nil {
		t.Fatal(err)
	}
	b.version(t, "1.0.0")
}

func TestAStagedSwapMovesOnlyItsStores(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0", Stores: []string{"spare"}}, nil); err != nil {
		t.Fatal(err)
	}
	b.version(t, "1.0.0")
	for _, p := range b.Plugins() {
		if p.Version == "1.1.0" && strings.Join(p.Stores, " ") != "spare" {
			t.Errorf("1.1.0 serves %v, want spare alone", p.Stores)
		}
	}
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0", Stores: []string{"nowhere"}}, nil); !errors.Is(err, sdk.NotFound) {
		t.Errorf("a store that is not there: %v, want not found", err)
	}
}

func TestANewVersionThatGoesWrongIsRolledBack(t *testing.T) {
	for _, kind := range []kinds.Kind{kinds.Panics, kinds.Crashes, kinds.Refuses, kinds.Forgets, kinds.Faulty} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := openBank(t, "")
			later := kind
			if kind != kinds.Faulty {
				later = kind.After(8)
			}
			candidates.Build(t, later, "1.1.0", b.dir)
			if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); err != nil {
				t.Fatal(err)
			}
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
						_, _ = b.prod.Get(context.Background(), "b", "")
					}
				}
			}()
			b.version(t, "1.0.0")
			close(stop)
			<-done
			b.read(t)
			if err := b.Rollback(t.Context(), "bank", nil); !errors.Is(err, sdk.FailedPrecondition) {
				t.Errorf("a second rollback: %v, want failed precondition", err)
			}
		})
	}
}

func TestABackendThatFailsAfterASwapDoesNotRollItBack(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); err != nil {
		t.Fatal(err)
	}
	b.backend.Fail(503)
	for range 20 {
		if _, err := b.prod.Get(t.Context(), "b", ""); err == nil {
			t.Fatal("a read of a backend that is down succeeded")
		}
	}
	b.backend.Recover()
	b.read(t)
	b.version(t, "1.1.0")
}

func TestAnOperatorRollsBack(t *testing.T) {
	b := openBank(t, "")
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	if err := b.Rollback(t.Context(), "bank", nil); !errors.Is(err, sdk.NotFound) {
		t.Errorf("a rollback without a swap: %v, want not found", err)
	}
	stop := b.load(t)
	for _, watch := range []time.Duration{time.Hour, -1} {
		if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0", Watch: watch}, nil); err != nil {
			t.Fatal(err)
		}
		b.version(t, "1.1.0")
		if err := b.Rollback(t.Context(), "bank", nil); err != nil {
			t.Fatalf("rollback of a swap that was watched for %v: %v", watch, err)
		}
		b.version(t, "1.0.0")
	}
	if _, failed := stop(); failed != 0 {
		t.Errorf("%d calls failed, want none", failed)
	}
}

func TestNonsenseIsRefusedBeforeAnythingStarts(t *testing.T) {
	b := openBank(t, "")
	for name, c := range map[string]struct {
		swap host.Swap
		want sdk.Code
	}{
		"no version":         {host.Swap{Plugin: "bank"}, sdk.InvalidArgument},
		"version and file":   {host.Swap{Plugin: "bank", Version: "1.1.0", File: "/x"}, sdk.InvalidArgument},
		"a file for good":    {host.Swap{Plugin: "bank", File: "/x"}, sdk.InvalidArgument},
		"a relative file":    {host.Swap{Plugin: "bank", File: "x", Ephemeral: true}, sdk.InvalidArgument},
		"what runs already":  {host.Swap{Plugin: "bank", Version: "1.0.0"}, sdk.FailedPrecondition},
		"no such version":    {host.Swap{Plugin: "bank", Version: "9.9.9"}, sdk.NotFound},
		"no such provider":   {host.Swap{Plugin: "nobody", Version: "1.1.0"}, sdk.NotFound},
		"no store of theirs": {host.Swap{Plugin: "bank", Version: "1.0.0", Stores: []string{"prd"}}, sdk.NotFound},
	} {
		if err := b.Swap(t.Context(), c.swap, nil); sdk.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	b.read(t)
}
