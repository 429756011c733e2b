package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// describes is a plugin as far as installing goes: a script that prints a manifest and touches a file.
func describes(ran, name, version, more string) string {
	return "#!/bin/sh\n" + more + "\ntouch " + ran + `
echo '{"name":"` + name + `","version":"` + version + `","capabilities":["get"],"settings_schema":{"type":"object"}}'
`
}

// shop is a folder to install into, and a plugin to install.
type shop struct {
	Request
	t   *testing.T
	ran string // is there when the plugin has run
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, ran: filepath.Join(t.TempDir(), "ran")}
	s.Dir, s.Lock = t.TempDir(), filepath.Join(t.TempDir(), "keyway.lock")
	s.Source = filepath.Join(t.TempDir(), "vault")
	s.Catalog = plugin.NewCatalog(plugin.Options{Dir: s.Dir, Sandbox: "off"}) // the plugins here are scripts
	s.write(s.Source, describes(s.ran, "vault", "1.2.0", ""))
	return s
}

func (s *shop) write(path, content string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) install() (*Result, error) {
	s.t.Helper()
	return Install(s.t.Context(), s.Request)
}

// wantFolder holds that these files are in the folder and nothing else that counts.
func (s *shop) wantFolder(names ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if e.Name() != working+".mutex" {
			got = append(got, e.Name())
		}
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		s.t.Errorf("in the folder: %v, want %v", got, names)
	}
}

// wantRefused holds that an installation is refused and leaves the folder and the lock file as they were.
func (s *shop) wantRefused(code sdk.Code, says ...string) {
	s.t.Helper()
	folder, before := s.state()
	_, err := s.install()
	if err == nil || sdk.CodeOf(err) != code || strings.Contains(err.Error(), "\n") {
		s.t.Fatalf("Install: %v, want one line with code %v", err, code)
	}
	for _, x := range append(says, s.Source) {
		if !strings.Contains(err.Error(), x) {
			s.t.Errorf("error %q, want %q in it", err, x)
		}
	}
	if now, after := s.state(); now != folder || after != before {
		s.t.Errorf("a refused installation has changed the folder from %q to %q, or the lock file from\n%s\nto\n%s", folder, now, before, after)
	}
}

// state is what is in the folder, and in the lock file.
func (s *shop) state() (folder, locked string) {
	s.t.Helper()
	err := filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == working+".mutex" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		digest, err := image.DigestOf(f)
		folder += d.Name() + " " + digest.Short() + " "
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(s.Lock)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return folder, string(text)
}

func TestInstallPutsAPluginIntoTheFolderAndLocksIt(t *testing.T) {
	s := newShop(t)
	r, err := s.install()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(r.Path)
	if err != nil || r.Path != filepath.Join(s.Dir, "vault-1.2.0") || info.Mode().Perm() != 0o755 || r.Already {
		t.Errorf("installed %+v with %v, %v, want vault-1.2.0 of mode 0755", r, info, err)
	}
	s.wantFolder("vault-1.2.0")
	f, err := lock.Load(s.Lock)
	if err != nil {
		t.Fatal(err)
	}
	p := f.Plugins["vault"]
	if v := p.Versions["1.2.0"]; p.Use != "1.2.0" || v.Digests[plugin.Platform] != r.Digest.String() || strings.Join(v.Capabilities, " ") != "get" {
		t.Errorf("locked %+v, want 1.2.0 in use with %v", p, r.Digest)
	}
	held := plugin.NewCatalog(plugin.Options{Dir: s.Dir, Lock: s.Lock})
	b, err := held.Find("vault", "")
	if err != nil {
		t.Fatal(err)
	}
	v, err := held.Verify(t.Context(), b)
	if err != nil {
		t.Fatalf("what was installed does not verify: %v", err)
	}
	v.Close()
}

func TestALaterVersionIsInstalledBesideTheOneInUse(t *testing.T) {
	s := newShop(t)
	if _, err := s.install(); err != nil {
		t.Fatal(err)
	}
	s.write(s.Source, describes(s.ran, "vault", "1.3.0", ""))
	if _, err := s.install(); err != nil {
		t.Fatal(err)
	}
	s.wantFolder("vault-1.2.0", "vault-1.3.0")
	if f, err := lock.Load(s.Lock); err != nil || f.Plugins["vault"].Use != "1.2.0" || len(f.Plugins["vault"].Versions) != 2 {
		t.Errorf("lock %+v, %v, want two versions and 1.2.0 in use", f, err)
	}
}

func TestInstallingTwiceIsFineAndOtherBytesAreNot(t *testing.T) {
	s := newShop(t)
	if _, err := s.install(); err != nil {
		t.Fatal(err)
	}
	if r, err := s.install(); err != nil || !r.Already {
		t.Errorf("the second time: %+v, %v, want that it is there", r, err)
	}
	s.write(s.Source, describes(s.ran, "vault", "1.2.0", "# another build"))
	s.wantRefused(sdk.AlreadyExists, "vault-1.2.0 is there with other bytes", "--force")
	s.Force = true
	r, err := s.install()
	if err != nil || r.Already {
		t.Fatalf("with --force: %+v, %v", r, err)
	}
	s.wantFolder("vault-1.2.0")
	f, err := lock.Load(s.Lock)
	if err != nil || f.Plugins["vault"].Versions["1.2.0"].Digests[plugin.Platform] != r.Digest.String() {
		t.Errorf("lock %+v, %v, want the new digest", f, err)
	}
}

func TestTheSignatureIsVerifiedBeforeThePluginRuns(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	s.Trust = map[string][]string{"vault": {public.String()}}
	program := describes(s.ran, "vault", "1.2.0", "")
	s.wantRefused(sdk.FailedPrecondition, "plugins.trust has keys for vault", "--signature")
	s.Signature = filepath.Join(t.TempDir(), "sig")
	s.write(s.Signature, string(minisign.Sign(private, []byte(program+"\n"))))
	s.wantRefused(sdk.FailedPrecondition, "does not fit")
	s.Signature = filepath.Join(t.TempDir(), "none")
	s.wantRefused(sdk.FailedPrecondition, "no such file")
	if _, err := os.Stat(s.ran); err == nil {
		t.Error("a plugin without a good signature has run")
	}
	s.Signature = ""
	s.write(s.Source+".minisig", string(minisign.Sign(private, []byte(program))))
	r, err := s.install()
	if err != nil || r.Signer == "" {
		t.Fatalf("signed: %+v, %v", r, err)
	}
	s.wantFolder("vault-1.2.0", "vault-1.2.0.minisig")
}

func TestAnotherNameIsNoWayAroundTheSignature(t *testing.T) {
	public, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	s.Trust = map[string][]string{"vault": {public.String()}}
	s.Source = filepath.Join(t.TempDir(), "harmless")
	s.write(s.Source, describes(s.ran, "vault", "1.2.0", ""))
	s.wantRefused(sdk.FailedPrecondition, "plugins.trust has keys for vault")
}

func TestWhatIsNoPluginIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, content, says string }{
		"text":          {"vault", "hello", "not an executable program"},
		"empty":         {"vault", "", "it is empty"},
		"other program": {"vault", "#!/bin/sh\necho hello", "does not print a manifest"},
		"other name":    {"vault-1.2.0", describes("/dev/null", "conjur", "1.2.0", ""), "calls itself conjur-1.2.0"},
		"other version": {"vault-1.3.0", describes("/dev/null", "vault", "1.2.0", ""), "calls itself vault-1.2.0"},
		"no word":       {"vault", strings.Replace(describes("/dev/null", "vault", "1.2.0", ""), `"get"`, `"get it"`, 1), `capability "get it" is not a word`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.Source = filepath.Join(t.TempDir(), c.file)
			s.write(s.Source, c.content)
			s.wantRefused(sdk.FailedPrecondition, c.says)
		})
	}
	s := newShop(t)
	s.Source = t.TempDir()
	s.wantRefused(sdk.FailedPrecondition, "not a regular file")
	s.Source = filepath.Join(s.Source, "none")
	s.wantRefused(sdk.FailedPrecondition, "no such file")
}

func TestALockFileThatCannotBeWrittenLeavesNoPlugin(t *testing.T) {
	s := newShop(t)
	s.write(s.Lock, "version: 7\nplugins: {}\n")
	s.wantRefused(sdk.InvalidArgument, "version: must be 1")
	s.Lock = filepath.Join(s.Lock, "below a file")
	if _, err := s.install(); sdk.CodeOf(err) != sdk.FailedPrecondition {
		t.Errorf("Install: %v, want FailedPrecondition", err)
	}
	s.wantFolder()
}

func TestAFolderThatIsNotThereIsTold(t *testing.T) {
	s := newShop(t)
	s.Dir = filepath.Join(s.Dir, "none")
	if _, err := s.install(); sdk.CodeOf(err) != sdk.FailedPrecondition || !strings.Contains(err.Error(), "plugin folder") {
		t.Errorf("Install: %v, want FailedPrecondition and which folder", err)
	}
}

func TestWhatAKilledInstallationLeftIsRemoved(t *testing.T) {
	s := newShop(t)
	left := filepath.Join(s.Dir, working+"-123")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(filepath.Join(left, "new-vault-1.2.0"), "half of it")
	if found, problems := s.Catalog.List(); len(found) != 0 || len(problems) != 0 {
		t.Errorf("List shows %v, %v of what is half installed", found, problems)
	}
	if _, err := s.install(); err != nil {
		t.Fatal(err)
	}
	s.wantFolder("vault-1.2.0")
}
