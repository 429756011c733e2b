package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrivateDirIsPrivateAndFitsASocket(t *testing.T) {
	base, err := os.MkdirTemp("", "kw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	longest := filepath.Join(base, strings.Repeat("d", roomFor("p")-len(base)-1))
	dir, err := privateDir(longest)
	if err != nil {
		t.Fatalf("privateDir of %d bytes: %v", len(longest), err)
	}
	defer func() { _ = dir.remove() }()
	info, err := os.Stat(dir.path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v, want only the owner to enter", info.Mode(), err)
	}
	if n := len(dir.path) + pluginNames; n > maxSocketPath() {
		t.Errorf("a socket's path has %d bytes, want at most %d", n, maxSocketPath())
	}
	if dir, err := privateDir(longest + "d"); err == nil {
		t.Errorf("privateDir of a path that is too long: %s", dir.path)
	}
}

func TestPrivateDirWithoutARunDirectory(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), strings.Repeat("t", 80)))
	dir, err := privateDir("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.remove() }()
	if !strings.HasPrefix(dir.path, "/tmp/keyway-") {
		t.Errorf("privateDir = %q, want one in /tmp, since the temporary directory's path is too long", dir.path)
	}
}

func TestWhatDeadHostsLeftIsSweptAndNothingElse(t *testing.T) {
	run, err := os.MkdirTemp("", "kw") // a test's own directory has too long a path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{"p123", 0o700}, {"p", 0o700}, {"p12x", 0o700}, {"q123", 0o700}, {"p9", 0o755}} {
		if err := os.Mkdir(filepath.Join(run, d.name), d.mode); err != nil {
			t.Fatal(err)
		}
	}
	mine, err := privateDir(run)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mine.remove() }()
	other, err := privateDir(run)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.remove() }()
	for path, want := range map[string]bool{"p123": false, "p": true, "p12x": true, "q123": true, "p9": true,
		filepath.Base(mine.path): true, filepath.Base(other.path): true} {
		if _, err := os.Stat(filepath.Join(run, path)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}
