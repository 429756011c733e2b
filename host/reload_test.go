package host_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

const locked = ", lock: keyway.lock"

// lockFile writes a lock file that has 1.0.0 and 1.1.0 and uses one of them.
func lockFile(t *testing.T, dir, use string) {
	t.Helper()
	text := "version: 1\nplugins:\n  bank:\n    use: " + use + "\n    versions:\n"
	for _, version := range []string{"1.0.0", "1.1.0"} {
		raw, err := os.ReadFile(filepath.Join(dir, "bank-"+version))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("      %s: {digests: {%s/%s: \"sha256:%x\"}, capabilities: [get, list, put, delete, stat, versions, get_batch, restore, encrypt, decrypt, watch], network: brokered}\n",
			version, runtime.GOOS, runtime.GOARCH, sha256.Sum256(raw))
	}
	if err := os.WriteFile(filepath.Join(dir, "keyway.lock"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func lockSays(t *testing.T, dir string, want ...string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "keyway.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(string(raw), w) {
			t.Errorf("the lock file does not say %q:\n%s", w, raw)
		}
	}
}

// openLocked opens the bank by a lock file that uses 1.0.0.
func openLocked(t *testing.T, next kinds.Kind) *bank {
	t.Helper()
	b := &bank{backend: candidates.NewBackend(t), dir: t.TempDir()}
	for _, name := range []string{"a", "b", "c"} {
		b.backend.Set(name, "value of "+name)
	}
	candidates.Build(t, kinds.Good, "1.0.0", b.dir)
	candidates.Build(t, next, "1.1.0", b.dir)
	lockFile(t, b.dir, "1.0.0")
	b.Host = b.open(t, locked)
	st, err := b.Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	b.prod = st
	b.read(t)
	return b
}

func TestEditingTheLockAndReloadingIsASwap(t *testing.T) {
	b := openLocked(t, kinds.Good)
	b.version(t, "1.0.0")
	stop := b.load(t)
	lockFile(t, b.dir, "1.1.0")
	if !b.Plugins()[0].Drift {
		t.Error("the lock file says another version, and status shows no drift")
	}
	if err := b.Reload(t.Context(), b.config(t, locked), nil); err != nil {
		t.Fatal(err)
	}
	b.version(t, "1.1.0")
	if calls, failed := stop(); failed != 0 {
		t.Errorf("%d of %d calls failed, want none", failed, calls)
	}
}

func TestASwapIsWrittenToTheLockAndARollbackMarksTheVersion(t *testing.T) {
	b := openLocked(t, kinds.Forgets.After(8))
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); err != nil {
		t.Fatal(err)
	}
	lockSays(t, b.dir, "use: 1.1.0")
	for range 20 {
		_, _ = b.prod.Get(t.Context(), "a", "")
	}
	b.version(t, "1.0.0")
	if err := b.Rollback(t.Context(), "bank", nil); !errors.Is(err, sdk.FailedPrecondition) {
		t.Errorf("a second rollback: %v, want failed precondition", err)
	}
	lockSays(t, b.dir, "use: 1.0.0", "bad:")
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); !errors.Is(err, sdk.FailedPrecondition) {
		t.Errorf("a swap to a version that was rolled back: %v, want failed precondition", err)
	}
	b.read(t)
}

func TestAnEphemeralSwapLeavesTheLockAlone(t *testing.T) {
	b := openLocked(t, kinds.Good)
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0", Ephemeral: true}, nil); err != nil {
		t.Fatal(err)
	}
	b.version(t, "1.1.0")
	lockSays(t, b.dir, "use: 1.0.0")
}

func TestAWrongDigestIsRefused(t *testing.T) {
	b := openLocked(t, kinds.Good)
	candidates.Build(t, kinds.Noise, "1.1.0", b.dir)
	err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil)
	if !errors.Is(err, sdk.FailedPrecondition) || !strings.Contains(err.Error(), "sha256:") {
		t.Errorf("a swap to other bytes than the locked: %v, want failed precondition with the digests", err)
	}
	b.read(t)
}

func TestAReloadOfAnotherConfigurationIsAllOrNothing(t *testing.T) {
	b := openBank(t, "")
	cfg := b.config(t, "")
	cfg.Sources = config.Sources{Env: []string{"OTHER"}}
	delete(cfg.Stores, "spare")
	cfg.Stores["new"] = cfg.Stores["prod"]
	err := b.Reload(t.Context(), cfg, nil)
	for _, want := range []string{"sources", "stores.spare", "stores.new", "restart"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Reload of what needs a restart: %v, want %q named", err, want)
		}
	}
	cfg = b.config(t, "")
	st := cfg.Stores["prod"]
	st.Settings = map[string]any{"address": "http://127.0.0.1:1", "nonsense": true}
	cfg.Stores["prod"] = st
	if err := b.Reload(t.Context(), cfg, nil); !errors.Is(err, sdk.InvalidArgument) || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("Reload with settings that the schema refuses: %v, want them named", err)
	}
	b.read(t)
}

func TestAReloadOpensAStoreWithItsNewSettings(t *testing.T) {
	b, other := openBank(t, ""), candidates.NewBackend(t)
	other.Set("a", "elsewhere")
	cfg := b.config(t, "")
	st := cfg.Stores["prod"]
	st.Settings = map[string]any{"address": "http://" + other.Address(), "token": "secret://env/TOKEN"}
	cfg.Stores["prod"] = st
	if err := b.Reload(t.Context(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	elsewhere := func() {
		t.Helper()
		if v, err := b.prod.Get(t.Context(), "a", ""); err != nil || v.Text() != "elsewhere" {
			t.Errorf("after the reload: %v, want the value of the new place", err)
		}
	}
	elsewhere()
	third := b.config(t, "")
	st = third.Stores["prod"]
	st.Settings = map[string]any{"address": "ftp://" + other.Address(), "token": "secret://env/TOKEN"}
	third.Stores["prod"] = st
	if err := b.Reload(t.Context(), third, nil); err == nil {
		t.Error("settings that the plugin refuses were taken")
	}
	if err := b.Reload(t.Context(), cfg, nil); err != nil {
		t.Errorf("the settings that serve: %v, want no change", err)
	}
	elsewhere()
}
