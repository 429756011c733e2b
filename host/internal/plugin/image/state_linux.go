package image

import (
	"golang.org/x/sys/unix"
)

// state is what tells whether a file is still the same, as its file system knows it: every write and every change of mode
// or name moves the time of its change, which nobody can set.
type state struct {
	path     string
	dev, ino uint64
	size     int64
	changed  unix.Timespec
}

// stateOf is false where the file cannot be looked at; opening it tells why.
func stateOf(path string) (state, bool) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return state{}, false
	}
	return state{path, st.Dev, st.Ino, st.Size, st.Ctim}, true
}
