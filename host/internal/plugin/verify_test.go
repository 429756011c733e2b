package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// text is what the plugin files of these tests hold: Verify runs nothing.
const text = "the plugin"

// shelf is a directory with the plugin vault 1.2.0, and what is declared of it.
func shelf(t *testing.T, o Options) (*Catalog, Binary) {
	t.Helper()
	o.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Dir, "vault-1.2.0"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	c := NewCatalog(o)
	b, err := c.Exactly("vault", "1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

// verify verifies b and lets go of it at once.
func verify(t *testing.T, c *Catalog, b Binary) (*Verified, error) {
	t.Helper()
	v, err := c.Verify(t.Context(), b)
	if err == nil {
		v.Close()
	}
	return v, err
}

// vault is a lock of version 1.2.0 as it is on the shelf.
func vault(t *testing.T, change func(*lock.Version)) lock.Plugin {
	t.Helper()
	v := lockedVersion(t, text)
	if change != nil {
		change(&v)
	}
	return lock.Plugin{Use: "1.2.0", Versions: map[string]lock.Version{"1.2.0": v}}
}

func TestAPluginThatIsLockedMayRun(t *testing.T) {
	c, b := shelf(t, Options{Lock: writeLock(t, vault(t, nil))})
	v, err := verify(t, c, b)
	if err != nil || v.Locked == nil || len(v.Warnings) != 0 || v.Signer != "" {
		t.Fatalf("Verify = %+v, %v, want it locked and without a warning", v, err)
	}
	if got, want := v.Image.Digest().String(), v.Locked.Digests[Platform]; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestTheLockRefuses(t *testing.T) {
	const foreign = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for name, c := range map[string]struct {
		plugin lock.Plugin
		want   error
		says   []string
	}{
		"other bytes": {vault(t, func(v *lock.Version) { v.Digests[Platform] = foreign }), ErrDigest,
			[]string{foreign, lockedVersion(t, text).Digests[Platform], "keyway plugin lock vault accepts it"}},
		"another platform": {vault(t, func(v *lock.Version) { v.Digests = map[string]string{"plan9/mips": foreign, "aix/ppc64": foreign} }), ErrUnlocked,
			[]string{"no digest for " + Platform, "aix/ppc64, plan9/mips"}},
		"bad": {vault(t, func(v *lock.Version) { v.Bad = "3 % of calls failed" }), ErrBad, []string{"3 % of calls failed", "keyway plugin lock vault --use 1.2.0"}},
		"another version": {lock.Plugin{Versions: map[string]lock.Version{"1.1.0": lockedVersion(t, text)}}, ErrUnlocked,
			[]string{"version 1.2.0 is not in the lock file", "keyway plugin lock vault"}},
		"not at all": {lock.Plugin{Versions: map[string]lock.Version{}}, ErrUnlocked, []string{"it is not in the lock file"}},
	} {
		t.Run(name, func(t *testing.T) {
			catalog, b := shelf(t, Options{Lock: writeLock(t, c.plugin)})
			_, err := verify(t, catalog, b)
			wantFault(t, err, sdk.FailedPrecondition, c.want, append(c.says, `verify plugin "vault"`, b.Path)...)
		})
	}
	c, b := shelf(t, Options{Lock: filepath.Join(t.TempDir(), "none.lock")})
	_, err := verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrUnlocked)
}

func TestWhatIsNotLockedRunsWithAWarningWhereThatIsThePolicy(t *testing.T) {
	other := lock.Plugin{Versions: map[string]lock.Version{}}
	c, b := shelf(t, Options{})
	if v, err := verify(t, c, b); err != nil || v.Locked != nil || len(v.Warnings) != 0 {
		t.Errorf("Verify where nobody declared anything: %+v, %v, want no warning", v, err)
	}
	for name, o := range map[string]Options{"no lock file": {Unlocked: WarnUnlocked}, "another's": {Lock: writeLock(t, other), Unlocked: WarnUnlocked}} {
		c, b := shelf(t, o)
		v, err := verify(t, c, b)
		if err != nil || v.Locked != nil || len(v.Warnings) == 0 || !errors.Is(v.Warnings[0], ErrUnlocked) {
			t.Errorf("%s: Verify = %+v, %v, want a warning that it is not locked", name, v, err)
		}
	}
	c, b = shelf(t, Options{Unlocked: RefuseUnlocked})
	_, err := verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrUnlocked)
	// The policy is for what is not locked. Bytes that differ from those that are, never run.
	c, b = shelf(t, Options{Unlocked: WarnUnlocked, Lock: writeLock(t, vault(t, func(v *lock.Version) { *v = lockedVersion(t, "other") }))})
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrDigest)
}

func TestAFileWithoutAVersionIsKnownByItsBytes(t *testing.T) {
	p := vault(t, nil)
	p.Versions["1.3.0"] = lockedVersion(t, "other")
	dir := t.TempDir()
	c := NewCatalog(Options{Dir: dir, Lock: writeLock(t, p)})
	for content, want := range map[string]error{text: nil, "other": nil, "third": ErrDigest} {
		if err := os.WriteFile(filepath.Join(dir, "vault"), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := c.Find("vault", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = verify(t, c, b); !errors.Is(err, want) {
			t.Errorf("Verify of a file that holds %q: %v, want %v", content, err, want)
		}
	}
}

func TestSignatures(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign, stranger, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, b := shelf(t, Options{Trust: map[string][]string{"vault": {public.String()}}})
	sign := func(key minisign.PrivateKey, content string) {
		t.Helper()
		if err := os.WriteFile(b.Path+".minisig", minisign.Sign(key, []byte(content)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrSignature, "there is no vault-1.2.0.minisig", "plugins.trust")
	sign(private, text)
	v, err := verify(t, c, b)
	if err != nil || v.Signer == "" {
		t.Fatalf("Verify of a signed plugin = %+v, %v, want its signer", v, err)
	}
	sign(private, "another build")
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrSignature, "does not fit", v.Signer)
	sign(stranger, text)
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrSignature, "trusted is only "+v.Signer)
	if err := os.WriteFile(b.Path+".minisig", []byte(strings.Repeat("x", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.FailedPrecondition, ErrSignature, "not one of minisign")
	c.opts.Trust = map[string][]string{"vault": {"RWQ"}}
	_, err = verify(t, c, b)
	wantFault(t, err, sdk.InvalidArgument, nil, "plugins.trust")
	c.opts.Trust = map[string][]string{"other": {foreign.String()}}
	if _, err = verify(t, c, b); err != nil {
		t.Errorf("Verify with keys for another provider: %v", err)
	}
}

func TestWhatOthersMayWriteToDoesNotRunUnlessItsBytesAreKnown(t *testing.T) {
	for name, mode := range map[string]map[string]os.FileMode{
		"folder of all": {".": 0o777}, "folder of the group": {".": 0o775}, "file of all": {"vault-1.2.0": 0o757}, "file of the group": {"vault-1.2.0": 0o775},
	} {
		for _, sandbox := range []string{"", "strict"} {
			t.Run(name+" "+sandbox, func(t *testing.T) {
				c, b := shelf(t, Options{Sandbox: sandbox})
				for path, m := range mode {
					if err := os.Chmod(filepath.Join(c.opts.Dir, path), m); err != nil {
						t.Fatal(err)
					}
				}
				_, err := verify(t, c, b)
				wantFault(t, err, sdk.FailedPrecondition, ErrExposed, "chmod go-w")
				c.opts.Lock = writeLock(t, vault(t, nil))
				v, err := verify(t, c, b)
				if sandbox == "strict" {
					wantFault(t, err, sdk.FailedPrecondition, ErrExposed)
					return
				}
				if err != nil || len(v.Warnings) != 1 || !errors.Is(v.Warnings[0], ErrExposed) {
					t.Errorf("Verify of locked bytes = %+v, %v, want a warning", v, err)
				}
			})
		}
	}
}

// manifest is what the plugin says of itself.
func manifest(network string, capabilities ...string) sdk.Manifest {
	return sdk.Manifest{Name: "vault", Version: "1.2.0", Network: network, Capabilities: capabilities}
}

func TestAPluginMayNotAskForMore(t *testing.T) {
	locked := lockedVersion(t, text)
	locked.Capabilities, locked.Endpoints = []string{"get", "list"}, []string{"vault.internal:8200", "*.example.com:443"}
	direct := locked
	direct.Network = lock.Direct
	open := Allowance{Network: "direct"}
	for name, c := range map[string]struct {
		locked  *lock.Version
		allowed Allowance
		says    sdk.Manifest
		want    []string // nil: permitted
	}{
		"what is locked":             {&locked, Allowance{}, manifest("", "get", "list"), nil},
		"less":                       {&locked, Allowance{}, manifest("brokered", "get"), nil},
		"more capabilities":          {&locked, Allowance{}, manifest("", "get", "put", "delete"), []string{"the capabilities put, delete", "keyway plugin lock vault"}},
		"anything, not locked":       {nil, Allowance{}, manifest("", "get", "put"), nil},
		"sockets, not allowed":       {nil, Allowance{}, manifest("direct"), []string{"network direct", "plugins.allow.vault.network: direct"}},
		"sockets, allowed":           {nil, open, manifest("direct"), nil},
		"sockets, locked without":    {&locked, open, manifest("direct"), []string{"locked without them"}},
		"sockets, locked with":       {&direct, open, manifest("direct"), nil},
		"sockets, locked, forbidden": {&direct, Allowance{}, manifest("direct"), []string{"plugins.allow.vault.network"}},
	} {
		v := &Verified{Binary: Binary{Provider: "vault", Version: "1.2.0", Path: "/p/vault-1.2.0"}, Locked: c.locked}
		err := v.Permit(c.says, c.allowed)
		if c.want == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantFault(t, err, sdk.FailedPrecondition, ErrEscalation, append(c.want, `"vault"`, "1.2.0")...)
	}
	v := &Verified{Binary: Binary{Provider: "vault"}, Locked: &locked}
	if err := v.PermitEndpoints([]string{"vault.internal:8200", "a.example.com:443"}); err != nil {
		t.Errorf("PermitEndpoints of what is locked: %v", err)
	}
	err := v.PermitEndpoints([]string{"vault.internal:8200", "169.254.169.254:80", "example.com:443"})
	wantFault(t, err, sdk.FailedPrecondition, ErrEscalation, "169.254.169.254:80, example.com:443", "only vault.internal:8200", "--endpoint")
	v.Locked = nil
	if err := v.PermitEndpoints([]string{"anything:1"}); err != nil {
		t.Errorf("PermitEndpoints of what is not locked: %v", err)
	}
}

func TestVerifyTellsWhatCannotBeOpened(t *testing.T) {
	c, b := shelf(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Verify(ctx, b)
	wantFault(t, err, sdk.Canceled, context.Canceled)
	if err := os.Chmod(b.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(t.Context(), b)
	wantFault(t, err, sdk.FailedPrecondition, ErrNotExecutable, "-rw-r--r--")
	if err := os.Remove(b.Path); err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(t.Context(), b)
	wantFault(t, err, sdk.FailedPrecondition, os.ErrNotExist)
}

func TestDescribeRunsNothingThatIsRefused(t *testing.T) {
	f := newFixture(t, "")
	ran := filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\ntouch " + ran + "\n"
	if err := replace(f.plugin, script, 0o755); err != nil {
		t.Fatal(err)
	}
	f.opts.Sandbox, f.opts.Unlocked = "off", RefuseUnlocked
	_, err := f.Describe(t.Context(), f.binary())
	wantFault(t, err, sdk.FailedPrecondition, ErrUnlocked)
	if _, err := os.Stat(ran); err == nil {
		t.Error("a plugin that is refused has run")
	}
}

func TestAScriptSaysWhatItNeeds(t *testing.T) {
	f := newFixture(t, "")
	if err := replace(f.plugin, "#!/bin/sh\necho '{}'\n", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := f.Describe(t.Context(), f.binary())
	wantFault(t, err, sdk.FailedPrecondition, nil)
	if errors.Is(err, ErrNotExecutable) && !strings.Contains(err.Error(), "plugins.allow.fake.execute") {
		t.Errorf("%v, want the setting that allows its interpreter", err)
	}
	f.opts.Allow = map[string]Allowance{"fake": {Execute: []string{"/bin", "/usr/bin", "/lib", "/lib64", "/usr/lib"}}}
	_, err = f.Describe(t.Context(), f.binary())
	wantFault(t, err, sdk.FailedPrecondition, ErrNotPlugin) // it ran, and said nothing of use
}
