//go:build unix

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const folderSyncMissing = false

// tryLock takes the exclusive lock of an open file, or answers false when another opening holds it, in this process or in
// another.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) //nolint:gosec // a descriptor fits an int
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
