package image

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCopiesOfHostsThatAreGoneAreSwept(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "keyway-image-12")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		i, err := Open(t.Context(), program(t, "x"), Options{CopyDirs: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed host left: %v, want that it is gone", err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) != 2 {
		t.Errorf("copies: %v, %v; want the two that are open", there, err)
	}
}
