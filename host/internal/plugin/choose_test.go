package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// lockedVersion is a version with the digest of some text for this platform.
func lockedVersion(t *testing.T, text string) lock.Version {
	t.Helper()
	d, err := image.DigestOf(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return lock.Version{Digests: map[string]string{Platform: d.String()}, Capabilities: []string{"get"}}
}

// writeLock writes a lock file of one plugin, "vault", and gives its path.
func writeLock(t *testing.T, p lock.Plugin) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyway.lock")
	rewriteLock(t, path, p)
	return path
}

func rewriteLock(t *testing.T, path string, p lock.Plugin) {
	t.Helper()
	f := lock.File{Version: 1, Plugins: map[string]lock.Plugin{"vault": p}}
	if err := os.WriteFile(path, f.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// several is a lock of versions 1.0.0 to 1.4.0, of which 1.4.0 is bad and 1.2.0 in use.
func several(t *testing.T) lock.Plugin {
	t.Helper()
	v := lockedVersion(t, "x")
	bad := v
	bad.Bad = "rolled back: 3 % of calls failed"
	return lock.Plugin{Use: "1.2.0", Stores: map[string]string{"staging": "1.3.0", "doomed": "1.4.0"},
		Versions: map[string]lock.Version{"1.0.0": v, "1.1.0": v, "1.2.0": v, "1.3.0": v, "1.4.0": bad}}
}

func TestTheLockSaysWhichVersionRuns(t *testing.T) {
	dir := directory(t, "vault-1.0.0", "vault-1.1.0", "vault-1.2.0", "vault-1.3.0", "vault-1.4.0", "vault-9.0.0", "other-2.0.0", "other-1.0.0")
	c := NewCatalog(Options{Dir: dir, Lock: writeLock(t, several(t))})
	for _, x := range []struct{ provider, store, constraint, want string }{
		{"vault", "", "", "1.2.0"},
		{"vault", "prod", "", "1.2.0"},
		{"vault", "staging", "", "1.3.0"},
		{"vault", "prod", "<1.2", "1.1.0"},      // the newest that is locked and fits
		{"vault", "doomed", "", "1.3.0"},        // its own is bad
		{"vault", "staging", "=1.0.0", "1.0.0"}, // the store's own word counts
		{"other", "prod", "", "2.0.0"},          // not locked: Verify says whether it may run
	} {
		b, err := c.Choose(x.provider, x.store, x.constraint)
		if err != nil || b.Version != x.want {
			t.Errorf("Choose(%q, %q, %q) = %q, %v, want %q", x.provider, x.store, x.constraint, b.Version, err, x.want)
		}
	}
	if b, err := c.Find("vault", ""); err != nil || b.Version != "1.2.0" {
		t.Errorf("Find = %q, %v, want the version in use", b.Version, err)
	}
}

func TestChooseTellsWhyThereIsNone(t *testing.T) {
	c := NewCatalog(Options{Dir: directory(t, "vault-1.4.0", "vault-9.0.0"), Lock: writeLock(t, several(t))})
	_, err := c.Choose("vault", "", "")
	wantFault(t, err, sdk.NotFound, nil, "version 1.2.0 is not in", "1.4.0, 9.0.0", "keyway plugin install")
	_, err = c.Choose("vault", "", "<1.2")
	wantFault(t, err, sdk.NotFound, nil, "of the locked versions 1.0.0, 1.1.0 none is in", "keyway plugin install")
	_, err = c.Choose("vault", "", ">=1.4")
	wantFault(t, err, sdk.FailedPrecondition, nil, "1.4.0 must not run: rolled back: 3 % of calls failed", `1.2.0 does not satisfy ">=1.4"`, "keyway plugin lock vault --use")
	_, err = c.Choose("vault", "", "newest")
	wantFault(t, err, sdk.InvalidArgument, nil, `"newest"`)
	if err := os.WriteFile(c.opts.Lock, []byte("version: 1\nplugins: {vault: {use: 1.0.0, versions: {}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = c.Choose("vault", "", "")
	wantFault(t, err, sdk.InvalidArgument, nil, "keyway.lock:2:24", "is not among its versions")
}

func TestExactlyGivesOneVersionWhateverTheLockSays(t *testing.T) {
	c := NewCatalog(Options{Dir: directory(t, "vault-1.4.0", "vault-9.0.0", "plain"), Lock: writeLock(t, several(t))})
	for _, version := range []string{"1.4.0", "9.0.0"} {
		if b, err := c.Exactly("vault", version); err != nil || b.Version != version {
			t.Errorf("Exactly(%q) = %q, %v", version, b.Version, err)
		}
	}
	_, err := c.Exactly("vault", "1.0.0")
	wantFault(t, err, sdk.NotFound, nil, "version 1.0.0 is not in", "1.4.0, 9.0.0")
	_, err = c.Exactly("vault", "latest")
	wantFault(t, err, sdk.InvalidArgument, nil, `"latest" is not a version`)
	_, err = c.Exactly("valt", "1.0.0")
	wantFault(t, err, sdk.NotFound, nil, "did you mean")
	b, err := c.Exactly("plain", "1.0.0") // its name says no version: it must say so itself
	if err != nil || b.checkIdentity(sdk.Manifest{Name: "plain", Version: "1.0.0"}) != nil || b.checkIdentity(sdk.Manifest{Name: "plain", Version: "1.0.1"}) == nil {
		t.Errorf("Exactly of a file without a version = %+v, %v, want one that must be 1.0.0", b, err)
	}
}

func TestASignatureIsNoPlugin(t *testing.T) {
	c := NewCatalog(Options{Dir: directory(t, "vault-1.0.0-rc.1", "vault-1.0.0-rc.1.minisig", "vault.minisig")})
	found, problems := c.List()
	if len(found) != 1 || len(problems) != 0 {
		t.Errorf("List = %v, %v, want the plugin alone", found, problems)
	}
}
