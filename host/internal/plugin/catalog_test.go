package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// directory makes a directory of executable files.
func directory(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNamesSplitIntoProviderAndVersion(t *testing.T) {
	for name, want := range map[string]Binary{
		"vault":                             {Provider: "vault"},
		"aws-sm":                            {Provider: "aws-sm"},
		"aws-sm-1.2.0":                      {Provider: "aws-sm", Version: "1.2.0"},
		"aws-sm-1.2.0-rc.1":                 {Provider: "aws-sm", Version: "1.2.0-rc.1"},
		"a-1.2.3+build.5":                   {Provider: "a", Version: "1.2.3+build.5"},
		"foo-1":                             {Provider: "foo-1"},
		"gcp-kms-10.20.30-a":                {Provider: "gcp-kms", Version: "10.20.30-a"},
		"x-1.0.0-y-2.0.0":                   {Provider: "x", Version: "1.0.0-y-2.0.0"},
		"README.md":                         {},
		"vault-1.2.0.sig":                   {},
		"vault-v1.2.0":                      {},
		".hidden":                           {},
		"Vault":                             {},
		"-1.0.0":                            {},
		"1.0.0":                             {},
		"vault_1.0.0":                       {},
		"keyway.lock":                       {},
		"vault-1.2":                         {},
		"vault-01.2.0":                      {},
		"über":                              {},
		"abcdefghijabcdefghijabcdefghijabc": {},
	} {
		f, ok := parseName(name)
		if !ok {
			f.Binary = Binary{}
		}
		if f.Provider != want.Provider || f.Version != want.Version {
			t.Errorf("parseName(%q) = %q %q, want %q %q", name, f.Provider, f.Version, want.Provider, want.Version)
		}
	}
}

func TestFindTakesTheNewestThatFits(t *testing.T) {
	c := NewCatalog(Options{Dir: directory(t, "vault-1.9.0", "vault-1.10.0", "vault-2.0.0-rc.1", "vault", "aws-sm", "next-0.1.0-a", "next-0.1.0-b")})
	for _, x := range []struct{ provider, constraint, want string }{
		{"vault", "", "vault-1.10.0"},
		{"vault", ">=1.2 <2", "vault-1.10.0"},
		{"vault", "<1.10", "vault-1.9.0"},
		{"vault", ">=2.0.0-0", "vault-2.0.0-rc.1"},
		{"vault", ">=3", "vault"}, // says no version: its own word is held against the constraint later
		{"aws-sm", "", "aws-sm"},
		{"next", "", "next-0.1.0-b"},
	} {
		b, err := c.Find(x.provider, x.constraint)
		if got := filepath.Base(b.Path); err != nil || got != x.want {
			t.Errorf("Find(%q, %q) = %q, %v, want %q", x.provider, x.constraint, got, err, x.want)
		}
	}
}

func TestFindTellsWhatIsWrong(t *testing.T) {
	dir := directory(t, "vault-1.0.0", "aws-sm", "plain")
	if err := os.Chmod(filepath.Join(dir, "plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"outside": "/bin/sh", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := NewCatalog(Options{Dir: dir})
	for _, x := range []struct {
		provider, constraint string
		code                 sdk.Code
		cause                error
		says                 string
	}{
		{"valt", "", sdk.NotFound, nil, "did you mean \"vault\"?"},
		{"conjur", "", sdk.NotFound, nil, "aws-sm"},
		{"folder", "", sdk.NotFound, nil, "folder"},
		{"vault", ">=2", sdk.NotFound, nil, "there are 1.0.0"},
		{"vault", "newest", sdk.InvalidArgument, nil, `"newest"`},
		{"plain", "", sdk.FailedPrecondition, ErrNotExecutable, "-rw-------"},
		{"outside", "", sdk.FailedPrecondition, nil, "symbolic link out of the plugin directory"},
		{"dangling", "", sdk.FailedPrecondition, os.ErrNotExist, "dangling"},
	} {
		_, err := c.Find(x.provider, x.constraint)
		wantFault(t, err, x.code, x.cause, x.says)
	}
	_, err := NewCatalog(Options{Dir: filepath.Join(dir, "missing")}).Find("vault", "")
	wantFault(t, err, sdk.FailedPrecondition, os.ErrNotExist, "does not exist")
	_, err = NewCatalog(Options{Dir: t.TempDir()}).Find("vault", "")
	wantFault(t, err, sdk.NotFound, nil, "there are no plugins")
	_, err = NewCatalog(Options{Dir: filepath.Join(dir, "aws-sm")}).Find("vault", "")
	wantFault(t, err, sdk.FailedPrecondition, nil, "plugin directory")
}

func TestListGivesAllAndWarns(t *testing.T) {
	dir := directory(t, "vault-1.0.0", "vault-2.0.0", "aws-sm", "plain", "LICENSE")
	if err := os.Symlink("vault-2.0.0", filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"plain": 0o600, "aws-sm": 0o777, ".": 0o777} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	found, problems := NewCatalog(Options{Dir: dir}).List()
	var names []string
	for _, b := range found {
		names = append(names, b.Provider+" "+b.Version)
	}
	if want := []string{"aws-sm ", "vault ", "vault 1.0.0", "vault 2.0.0"}; !slices.Equal(names, want) {
		t.Errorf("List names %q, want %q", names, want)
	}
	exposed, unusable := 0, 0
	for _, err := range problems {
		if errors.Is(err, ErrExposed) {
			exposed++
		}
		if errors.Is(err, ErrNotExecutable) {
			unusable++
		}
	}
	if exposed != 2 || unusable != 1 || len(problems) != 3 {
		t.Errorf("List problems %v, want two that others may write to and one that is not executable", problems)
	}
	if _, problems := NewCatalog(Options{Dir: dir + "/none"}).List(); len(problems) != 1 {
		t.Errorf("List of a missing directory: problems %v, want one", problems)
	}
}

func TestTheHostItselfIsNoPlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := directory(t, "vault")
	if err := os.Link(self, filepath.Join(dir, "keyway")); err != nil {
		t.Fatal(err)
	}
	found, problems := NewCatalog(Options{Dir: dir}).List()
	if len(found) != 1 || found[0].Provider != "vault" || len(problems) != 0 {
		t.Errorf("List = %v, %v, want vault alone", found, problems)
	}
}
