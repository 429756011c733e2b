package install

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/keyway-dev/keyway/sdk"
)

// working begins the names of what an installation works on. No plugin's name begins with a dot.
const working = ".keyway-install"

// site is a plugin folder that one installation works in.
type site struct {
	dir    string // a private folder in the plugin folder
	unlock func()
	undo   []func() error
}

// open waits for other installations into the folder, and removes what those that were killed have left.
func open(folder string) (*site, error) {
	unlock, err := lockedfile.MutexAt(filepath.Join(folder, working+".mutex")).Lock()
	if err != nil {
		return nil, unwritable(folder, err)
	}
	left, _ := filepath.Glob(filepath.Join(folder, working+"-*"))
	for _, path := range left {
		_ = os.RemoveAll(path)
	}
	dir, err := os.MkdirTemp(folder, working+"-*") // its mode is 0700
	if err != nil {
		unlock()
		return nil, unwritable(folder, err)
	}
	return &site{dir: dir, unlock: unlock}, nil
}

func unwritable(folder string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return sdk.Errorf(sdk.FailedPrecondition, "plugin folder %q: it does not exist; make it, for root to own at best: %w", folder, fs.ErrNotExist)
	}
	return sdk.Errorf(sdk.FailedPrecondition, "plugin folder %q: %w; install as the user that owns the folder", folder, err)
}

func (s *site) close() {
	_ = os.RemoveAll(s.dir)
	s.unlock()
}

// put writes a file whole and gives it its name, in place of what had that. The file lasts when put returns.
func (s *site) put(path string, from io.Reader, mode fs.FileMode) error {
	fresh, former := filepath.Join(s.dir, "new-"+filepath.Base(path)), filepath.Join(s.dir, "old-"+filepath.Base(path))
	if err := writeAll(fresh, from, mode); err != nil {
		return full(err)
	}
	err := os.Link(path, former)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	back := func() error { return os.Rename(former, path) }
	if err != nil {
		back = func() error { return os.Remove(path) }
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	s.undo = append(s.undo, back)
	return syncDir(filepath.Dir(path))
}

// revert undoes what put did.
func (s *site) revert() error {
	var all error
	for _, back := range slices.Backward(s.undo) {
		all = errors.Join(all, back())
	}
	return all
}

func writeAll(path string, from io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// full names the disk's being full, in one line.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return sdk.Errorf(sdk.FailedPrecondition, "the disk is full; make room and install again, nothing was changed: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return err
}

// syncDir makes a rename last, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
