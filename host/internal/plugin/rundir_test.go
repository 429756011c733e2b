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
	defer func() { _ = dir.Remove() }()
	info, err := os.Stat(dir.Path())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v, want only the owner to enter", info.Mode(), err)
	}
	if n := len(dir.Path()) + pluginNames; n > maxSocketPath() {
		t.Errorf("a socket's path has %d bytes, want at most %d", n, maxSocketPath())
	}
	if dir, err := privateDir(longest + "d"); err == nil {
		t.Errorf("privateDir of a path that is too long: %s", dir.Path())
	}
}

func TestPrivateDirWithoutARunDirectory(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), strings.Repeat("t", 80)))
	dir, err := privateDir("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Remove() }()
	if !strings.HasPrefix(dir.Path(), "/tmp/keyway-") {
		t.Errorf("privateDir = %q, want one in /tmp, since the temporary directory's path is too long", dir.Path())
	}
}
