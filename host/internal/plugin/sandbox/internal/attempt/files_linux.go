package attempt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func files() []Attempt {
	return []Attempt{
		{Name: "read the list of users", Host: true, Do: func(Targets) error { return read("/etc/passwd") }},
		{Name: "read the host's file", Host: true, Do: func(t Targets) error { return read(t.File) }},
		{Name: "list a directory", Host: true, Do: func(Targets) error { _, err := os.ReadDir("/etc"); return err }},
		{Name: "read the host's environment", Host: true, Do: func(t Targets) error { return read(proc(t, "environ")) }},
		{Name: "read the host's command line", Host: true, Do: func(t Targets) error { return read(proc(t, "cmdline")) }},
		{Name: "list the host's descriptors", Host: true, Do: func(t Targets) error { _, err := os.ReadDir(proc(t, "fd")); return err }},
		{Name: "read the kernel's symbols", Host: true, Do: func(Targets) error { return open("/proc/kallsyms", os.O_RDONLY) }},
		{Name: "read the kernel's messages", Root: true, Host: true, Do: func(Targets) error { return open("/dev/kmsg", os.O_RDONLY) }},
		{Name: "read a file without permission, as root", Root: true, Host: true, Do: func(t Targets) error { return read(t.Locked) }},
		{Name: "choose whom the kernel kills", Host: true, Do: func(Targets) error { return open("/proc/self/oom_score_adj", os.O_WRONLY) }},
		{Name: "write the host's file", Host: true, Do: func(t Targets) error { return open(t.File, os.O_WRONLY) }},
		{Name: "create a file of the host's", Host: true, Do: func(t Targets) error { return create(filepath.Join(t.Dir, "created")) }},
		{Name: "create a temporary file", Host: true, Do: temporary},
		{Name: "write one byte into a file of its own", Host: true, Do: func(t Targets) error {
			return os.WriteFile(filepath.Join(t.Own, "file"), []byte("x"), 0o600)
		}},
		{Name: "remove the host's file", Host: true, Do: remove},
		{Name: "rename the host's file", Host: true, Do: rename},
		{Name: "empty the host's file by its path", Host: true, Do: func(t Targets) error { return unix.Truncate(t.File, 16) }},
		{Name: "make a symbolic link", Host: true, Do: func(t Targets) error {
			return removed(filepath.Join(t.Dir, "symlink"), func(p string) error { return os.Symlink("/etc", p) })
		}},
		{Name: "make a symbolic link of its own", Host: true, Do: func(t Targets) error {
			return removed(filepath.Join(t.Own, "symlink"), func(p string) error { return os.Symlink("/etc", p) })
		}},
		{Name: "make a hard link to the host's file", Host: true, Do: func(t Targets) error {
			return removed(filepath.Join(t.Own, "link"), func(p string) error { return os.Link(t.File, p) })
		}},
		{Name: "make a named pipe", Host: true, Do: func(t Targets) error {
			return removed(filepath.Join(t.Own, "pipe"), func(p string) error { return unix.Mkfifo(p, 0o600) })
		}},
		{Name: "change the mode of the host's file", Host: true, Do: func(t Targets) error { return os.Chmod(t.File, 0o600) }},
		{Name: "change the owner of the host's file", Host: true, Do: func(t Targets) error { return os.Chown(t.File, os.Getuid(), os.Getgid()) }},
		{Name: "change the times of the host's file", Host: true, Do: func(t Targets) error { return os.Chtimes(t.File, time.Time{}, time.Now()) }},
		{Name: "set an attribute of the host's file", Host: true, Do: func(t Targets) error {
			return unix.Setxattr(t.File, "user.keyway", []byte("x"), 0)
		}},
		{Name: "find a file by its handle", Host: true, Do: func(t Targets) error { _, _, err := unix.NameToHandleAt(unix.AT_FDCWD, t.File, 0); return err }},
	}
}

func proc(t Targets, name string) string { return fmt.Sprintf("/proc/%d/%s", t.Host, name) }

func read(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func open(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func create(path string) error {
	return removed(path, func(p string) error { return open(p, os.O_WRONLY|os.O_CREATE) })
}

// removed takes away what do made at path.
func removed(path string, do func(string) error) error {
	if err := do(path); err != nil {
		return err
	}
	return os.Remove(path)
}

func temporary(Targets) error {
	f, err := os.CreateTemp("", "keyway-probe")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// remove takes away a second name of the host's file, which the host made beside it.
func remove(t Targets) error {
	spare := t.File + ".spare"
	if err := os.Remove(spare); err != nil {
		return err
	}
	return os.WriteFile(spare, nil, 0o600)
}

func rename(t Targets) error {
	moved := t.File + ".moved"
	if err := os.Rename(t.File, moved); err != nil {
		return err
	}
	return os.Rename(moved, t.File)
}

// Open gives the open descriptors of this process and what the kernel calls their kind, without asking /proc.
func Open() string {
	var all []string
	for fd := range 64 {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 || unix.Fstat(fd, &st) != nil {
			continue // not open, or opened by this program itself
		}
		kind := map[uint32]string{unix.S_IFREG: "file", unix.S_IFCHR: "device", unix.S_IFIFO: "pipe", unix.S_IFSOCK: "socket"}[st.Mode&unix.S_IFMT]
		all = append(all, fmt.Sprintf("%d %s", fd, kind))
	}
	return strings.Join(all, ", ")
}
