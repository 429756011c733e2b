package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// take opens the program through the pool, and closes it with the test.
func take(t *testing.T, p *Pool, path string) *Image {
	t.Helper()
	i, err := p.Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

// held counts the files that a pool holds.
func (p *Pool) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

func TestUsersOfAnUnchangedFileShareItsBytesUntilTheLastCloses(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // each has its own
	}
	var p Pool
	path := program(t, "the bytes")
	images := make([]*Image, 16)
	var wg sync.WaitGroup
	for n := range images {
		wg.Go(func() { images[n] = take(t, &p, path) })
	}
	wg.Wait()
	for _, i := range images {
		if i.Reader() != images[0].Reader() || i.Digest() != images[0].Digest() {
			t.Fatal("two users of one file have bytes of their own")
		}
	}
	for _, i := range images[1:] {
		_ = i.Close()
		_ = i.Close() // counts once
	}
	if got := content(t, images[0]); got != "the bytes" {
		t.Errorf("the last user reads %q", got)
	}
	if err := images[0].Close(); err != nil || p.held() != 0 {
		t.Errorf("the last Close = %v and %d files are held, want none", err, p.held())
	}
	if _, err := images[0].Reader().ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read of what everybody closed = %v, want %v", err, os.ErrClosed)
	}
}

func TestAFileThatChangedIsReadAgain(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written":  func(path string) error { return os.WriteFile(path, []byte("behind"), 0o755) },
		"appended": func(path string) error { return os.WriteFile(path, []byte("before and behind"), 0o755) },
		"replaced": func(path string) error {
			other := path + "-other"
			return errors.Join(os.WriteFile(other, []byte("behind"), 0o755), os.Rename(other, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p Pool
			path := program(t, "before")
			first := take(t, &p, path)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			second := take(t, &p, path)
			if got := content(t, first); got != "before" {
				t.Errorf("the first user reads %q after the change, want what it opened", got)
			}
			if got := content(t, second); got == "before" || second.Digest() == first.Digest() {
				t.Errorf("the second user reads %q, want what the file holds now", got)
			}
		})
	}
}

func TestAFailureIsNotShared(t *testing.T) {
	var p Pool
	path := program(t, "the bytes")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Open(ended, path, Options{CopyDirs: []string{t.TempDir()}}); sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("Open with a context that has ended = %v, want %v", err, sdk.Canceled)
	}
	if got := content(t, take(t, &p, path)); got != "the bytes" {
		t.Errorf("the next user reads %q", got)
	}
	if _, err := p.Open(t.Context(), filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of no file = %v, want %v", err, os.ErrNotExist)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}}); runtime.GOOS != "windows" && !errors.Is(err, os.ErrPermission) {
		t.Errorf("Open of what nobody may execute any more = %v, want %v", err, os.ErrPermission)
	}
}
