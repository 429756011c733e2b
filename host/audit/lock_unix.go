//go:build unix

package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until no other process writes to the file. Closing the file unlocks it too.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			return err
		}
	}
}

func unlock(f *os.File) {
	if f != nil {
		_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
}
