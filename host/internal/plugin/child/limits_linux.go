package child

import "golang.org/x/sys/unix"

// maxFiles covers 512 open stores with a connection or two each, and bounds a leak.
const maxFiles = 4096

// apply bounds a child that is not reaped. A child that cannot be limited has already ended, or runs
// under limits that are tighter.
func (l Limits) apply(pid int) {
	lower(pid, unix.RLIMIT_CORE, l.Core)
	files := l.Files
	if files == 0 {
		files = maxFiles
	}
	lower(pid, unix.RLIMIT_NOFILE, files)
	if l.Data > 0 {
		lower(pid, unix.RLIMIT_DATA, l.Data)
	}
	if l.FileSize != nil {
		lower(pid, unix.RLIMIT_FSIZE, *l.FileSize)
	}
}

func lower(pid, resource int, bound uint64) {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &now); err == nil && now.Max > bound {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: bound, Max: bound}, nil)
	}
}
