package lock

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/keyway-dev/keyway/sdk"
)

// maxFile bounds the file, in bytes.
const maxFile = 1 << 20

// Load reads a lock file. Errors are NotFound (there is none), FailedPrecondition (it cannot be read) and InvalidArgument
// with every problem in it at its line, a *config.Error.
func Load(path string) (*File, error) {
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sdk.Errorf(sdk.NotFound, "lock file %q: it does not exist; keyway plugin lock writes it: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "lock file %q: it cannot be read: %w", path, cause(err))
	}
	return Parse(path, data)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Update changes a lock file, or writes the first one: it reads the file, lets change work on what it says, and replaces the
// file as a whole. Readers see the old one or the new one; so does whoever looks after a crash. Several processes may update
// at once, one waits for the other. What changes nothing writes nothing, and an error of change ends the update.
//
// Errors are those of change, those of Load but NotFound, FailedPrecondition where the file or its folder cannot be written,
// and Internal when change made it invalid.
func Update(path string, change func(*File) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link stays
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".mutex")).Lock()
	if err != nil {
		return unwritable(path, err)
	}
	defer unlock()
	old, err := Load(path)
	if err != nil && !errors.Is(err, sdk.NotFound) {
		return err
	}
	f := old.Clone()
	if err := change(f); err != nil {
		return err
	}
	text := f.Marshal()
	if old != nil && bytes.Equal(text, old.Marshal()) {
		return nil
	}
	if _, err := Parse(path, text); err != nil {
		return sdk.Errorf(sdk.Internal, "update lock file %q: what would be written is not valid: %v", path, err)
	}
	if err := replace(path, text); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	advice := "let this user write to its folder, or edit the file where it comes from and run keyway reload; a swap that writes nothing is --ephemeral"
	if errors.Is(err, syscall.ENOSPC) {
		advice = "make room on the disk; nothing was changed"
	}
	return sdk.Errorf(sdk.FailedPrecondition, "update lock file %q: %w; %s", path, cause(err), advice)
}

// replace writes a file beside path and renames it, with the mode that path has.
func replace(path string, text []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keyway-lock-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
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

// cause leaves the file's name out of an error that says it elsewhere.
func cause(err error) error {
	if pe, ok := err.(*fs.PathError); ok { //nolint:errorlint // of a wrapped one, the rest counts too
		return pe.Err
	}
	return err
}
