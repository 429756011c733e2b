//go:build unix

package folder

import (
	"os"
	"path/filepath"
	"testing"
)

// made makes a private folder, and removes it with the test.
func made(t *testing.T, dir, prefix string) *Folder {
	t.Helper()
	f, err := New(dir, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Remove() })
	return f
}

func TestWhatDeadMakersLeftIsSweptAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{"p123", 0o700}, {"p", 0o700}, {"p12x", 0o700}, {"q123", 0o700}, {"p9", 0o755}} {
		if err := os.Mkdir(filepath.Join(dir, d.name), d.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "p123", "program"), []byte("x"), 0o500); err != nil {
		t.Fatal(err)
	}
	mine, other := made(t, dir, "p"), made(t, dir, "p")
	for path, want := range map[string]bool{"p123": false, "p": true, "p12x": true, "q123": true, "p9": true,
		filepath.Base(mine.Path()): true, filepath.Base(other.Path()): true} {
		if _, err := os.Stat(filepath.Join(dir, path)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

// TestAFolderIsSweptOnceNobodyHoldsItsLock lets go of the lock and leaves the folder, as the kernel does when a process is
// killed.
func TestAFolderIsSweptOnceNobodyHoldsItsLock(t *testing.T) {
	dir := t.TempDir()
	dead := made(t, dir, "keyway-image-")
	if err := dead.lock.Close(); err != nil {
		t.Fatal(err)
	}
	made(t, dir, "keyway-") // another kind
	if _, err := os.Stat(dead.Path()); err != nil {
		t.Errorf("after the start of a folder of another kind: %v, want that it is there", err)
	}
	made(t, dir, "keyway-image-")
	if _, err := os.Stat(dead.Path()); !os.IsNotExist(err) {
		t.Errorf("after the next of its kind: %v, want that it is gone", err)
	}
}

func TestRemoveLeavesNothingAndMayBeRepeated(t *testing.T) {
	f := made(t, t.TempDir(), "p")
	if err := os.WriteFile(filepath.Join(f.Path(), "program"), []byte("x"), 0o500); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Path()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v; want that only its owner can enter", info, err)
	}
	for range 2 {
		if err := f.Remove(); err != nil {
			t.Errorf("Remove = %v", err)
		}
	}
	if _, err := os.Stat(f.Path()); !os.IsNotExist(err) {
		t.Errorf("after Remove: %v, want that it is gone", err)
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	if f, err := New(filepath.Join(t.TempDir(), "none"), "p"); !os.IsNotExist(err) {
		t.Errorf("New in a folder that is not there = %v, %v", f, err)
	}
}
