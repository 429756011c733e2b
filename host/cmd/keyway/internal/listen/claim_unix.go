//go:build unix

package listen

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

// claim takes the lock beside a socket, which one process holds for as long as it lives: path and ".lock". The file stays, for
// removing it would let two processes hold two locks.
func claim(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "listen %s: its lock cannot be opened: %w", path, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20)) // a process id, for the message alone
		return nil, errors.Join(sdk.Errorf(sdk.AlreadyExists, "listen %s: another keyway serve (pid %s) listens there; end it, or listen elsewhere", path, strings.TrimSpace(string(holder))), f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(sdk.Errorf(sdk.FailedPrecondition, "listen %s: its lock: %w", path, err), f.Close())
	}
	return f, nil
}

// release lets go of the lock; nil is none.
func release(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func groupOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return noGroup
}

// processGroup is the group of a process, -1 if it has ended. A plugin leads one of its own, so whatever it starts is told by
// it.
func processGroup(pid int) int {
	if pid <= 0 {
		return -1
	}
	group, err := unix.Getpgid(pid)
	if err != nil {
		return -1
	}
	return group
}
