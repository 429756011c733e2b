//go:build linux

package skew_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// atMost bounds what must happen; it is only reached when it does not.
const atMost = 30 * time.Second

// install gives a folder with one plugin. It lies beside what was compiled, where a link can be.
func install(t *testing.T, pkg, provider string) string {
	t.Helper()
	built := sdktest.Build(t, pkg)
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Dir(built)), "plugins")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Link(built, filepath.Join(dir, provider+"-1.0.0")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// open opens a host over one plugin of another time.
func open(t *testing.T, pkg, provider string) *host.Host {
	t.Helper()
	dir := install(t, pkg, provider)
	cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), []byte("version: 1\nplugins: {dir: .}\nstores:\n"+
		"  prod: {provider: "+provider+", access: read_write, settings: {secrets: {a: one, b: two}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), cfg, host.WithLogger(slog.New(slog.NewTextHandler(testLog{t}, nil))))
	if err != nil {
		t.Fatalf("open a host over %s: %v", provider, err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

type testLog struct{ t *testing.T }

func (w testLog) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// others are the plugins of other times.
var others = map[string]string{"first": "./first/plugin", "future": "./future/plugin"}

// onEach runs a test on a store of each plugin of another time.
func onEach(t *testing.T, test func(t *testing.T, h *host.Host, s *host.Store)) {
	for provider, pkg := range others {
		t.Run(provider, func(t *testing.T) {
			h := open(t, pkg, provider)
			s, err := h.Store("prod")
			if err != nil {
				t.Fatal(err)
			}
			test(t, h, s)
		})
	}
}

func TestAPluginOfAnotherTimeIsReadByTodaysHost(t *testing.T) {
	onEach(t, func(t *testing.T, h *host.Host, _ *host.Store) {
		v, err := h.Resolve(t.Context(), "secret://prod/a")
		if err != nil || v.Text() != "one" {
			t.Errorf("Resolve(a): %v, want its value", err)
		}
		all, err := h.ResolveAll(t.Context(), "secret://prod/a", "secret://prod/b")
		if err != nil || all["secret://prod/b"].Text() != "two" {
			t.Errorf("ResolveAll: %v, want both values", err)
		}
		if err := h.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
	})
}

func TestAPluginOfAnotherTimeIsWrittenByTodaysHost(t *testing.T) {
	onEach(t, func(t *testing.T, _ *host.Host, s *host.Store) {
		ctx := t.Context()
		put := func(v string, p sdk.Precondition) (string, error) {
			r, err := s.Put(ctx, sdk.PutRequest{Name: "c", Value: sdk.SensitiveString(v), If: p})
			return r.Version, err
		}
		first, err := put("1", sdk.IfAbsent())
		if err != nil {
			t.Fatalf("Put if absent: %v", err)
		}
		second, err := put("2", sdk.IfVersion(first))
		if err != nil {
			t.Errorf("Put if version %s: %v", first, err)
		}
		v, err := s.Get(ctx, "c", first)
		if err != nil || v.Text() != "1" {
			t.Errorf("Get of version %s: %v, want its value", first, err)
		}
		versions, err := collect(s.Versions(ctx, "c"))
		if err != nil || len(versions) != 2 || versions[0].Version != second || !versions[0].Current {
			t.Errorf("Versions: %+v, %v, want %s, current, and %s", versions, err, second, first)
		}
		if _, err := s.Delete(ctx, sdk.DeleteRequest{Name: "c"}); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if _, err := s.Get(ctx, "c", ""); !errors.Is(err, sdk.FailedPrecondition) {
			t.Errorf("Get of what is deleted: %v, want FailedPrecondition", err)
		}
		if err := s.Restore(ctx, "c"); err != nil {
			t.Errorf("Restore: %v", err)
		}
		items, err := collect(s.List(ctx, ""))
		if got := metaNames(items); err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("List: %v, %v, want a, b, c", got, err)
		}
	})
}

func TestFailuresOfAPluginOfAnotherTimeKeepTheirCodesAndWords(t *testing.T) {
	onEach(t, func(t *testing.T, _ *host.Host, s *host.Store) {
		value := sdk.SensitiveString("v")
		_, absent := s.Get(t.Context(), "absent", "")
		_, exists := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: value, If: sdk.IfAbsent()})
		_, lost := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: value, If: sdk.IfVersion("9")})
		_, labels := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: value, Labels: map[string]string{"k": "v"}})
		for want, err := range map[sdk.Code]error{sdk.NotFound: absent, sdk.AlreadyExists: exists, sdk.Aborted: lost, sdk.Unimplemented: labels} {
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		var e *sdk.Error
		if !errors.As(absent, &e) || e.Reason != "NotFound" {
			t.Errorf("the absent secret: %v, want the plugin's own word NotFound with it", absent)
		}
	})
}

func TestAPluginOfAnotherTimeEncryptsAndWatches(t *testing.T) {
	onEach(t, func(t *testing.T, h *host.Host, s *host.Store) {
		sealed, err := s.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("p"), AAD: []byte("x")})
		if err != nil {
			t.Fatalf("Encrypt: %v", err)
		}
		opened, err := s.Decrypt(t.Context(), sdk.DecryptRequest{Key: sealed.Key, Ciphertext: sealed.Ciphertext, AAD: []byte("x")})
		if err != nil || !opened.Plaintext.Equal(sdk.SensitiveString("p")) {
			t.Errorf("Decrypt: %v, want what was encrypted", err)
		}
		live, err := h.Live(t.Context(), "secret://prod/a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("new")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), atMost)
		defer cancel()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if v, err := live.Load(); err == nil && v.Text() == "new" {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatal("the live value never heard of the write")
			}
		}
	})
}

// What today's contract has no name for is passed over: it neither shows nor disturbs.
func TestWhatOnlyALaterContractKnowsDoesNoHarm(t *testing.T) {
	s, err := open(t, others["future"], "future").Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	old, err := open(t, others["first"], "first").Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	can, err := s.Can(t.Context())
	want, werr := old.Can(t.Context())
	if err != nil || werr != nil || can != want {
		t.Errorf("the store can %v (%v), want %v (%v): unknown words are nobody's", can, err, want, werr)
	}
	if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("2")}); err != nil {
		t.Fatal(err)
	}
	versions, err := collect(s.Versions(t.Context(), "a"))
	if err != nil || len(versions) != 2 || versions[0].State != sdk.StateEnabled || versions[1].State != sdk.StateUnknown {
		t.Errorf("Versions: %+v, %v, want the second in a state that is unknown", versions, err)
	}
}

// A lock file keeps words that today's host does not know, so that the next host does not take them for new.
func TestAPluginOfALaterContractIsLockedVerifiedAndDescribed(t *testing.T) {
	dir := install(t, others["future"], "future")
	file := filepath.Join(dir, "keyway.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nplugins: {dir: ., lock: keyway.lock}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keyway := sdktest.Build(t, "../../host/cmd/keyway")
	for _, args := range [][]string{{"lock", "future"}, {"verify"}, {"describe", "future"}} {
		out, err := exec.CommandContext(t.Context(), keyway, append([]string{"-c", file, "plugin"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "future") {
			t.Errorf("keyway plugin %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	locked, err := os.ReadFile(filepath.Join(dir, "keyway.lock"))
	if err != nil || !strings.Contains(string(locked), "forecast") {
		t.Errorf("the lock file, %v, has no word of the capability forecast:\n%s", err, locked)
	}
}

func TestAPluginOfAnotherContractIsRefusedWithTheNextStep(t *testing.T) {
	for kind, says := range map[kinds.Kind]string{kinds.OldContract: "version 0 of the contract", kinds.FutureContract: "version 2 of the contract"} {
		dir := t.TempDir()
		candidates.Build(t, kind, "1.1.0", dir)
		cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), []byte("version: 1\nplugins: {dir: .}\nstores:\n  prod: {provider: bank}\n"))
		if err != nil {
			t.Fatal(err)
		}
		h, err := host.Open(t.Context(), cfg)
		if err == nil {
			_ = h.Close(context.Background())
			t.Errorf("%s: the host opened", kind)
			continue
		}
		for _, part := range []string{"bank", says, "this host version 1", "install a plugin for this host"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", kind, err, part)
			}
		}
	}
}

// collect reads a sequence to its end or its first error.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for x, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

func metaNames(items []sdk.Meta) []string {
	var out []string
	for _, m := range items {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}
