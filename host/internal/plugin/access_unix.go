//go:build unix

package plugin

import (
	"os"

	"golang.org/x/sys/unix"
)

// writable reports whether this user can replace files in a directory. Of root it says no: who is root can do anything.
func writable(dir string) bool {
	return os.Geteuid() != 0 && unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) == nil
}
