package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openFlags: no link that replaced the file is followed, and a pipe that did is not waited for.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

// system is what may fail or be missing.
type system struct {
	euid     func() int
	noexec   func(*os.File) bool                // whether programs on this file's mount cannot be executed
	unnamed  func(dir string) (*os.File, error) // a new file without a name
	temp     func(dir string) (*os.File, error) // a new file with one
	memory   func(name string) (*os.File, error)
	transfer func(ctx context.Context, to io.Writer, from io.Reader) error
}

func realSystem() *system {
	return &system{euid: os.Geteuid, noexec: noexec, unnamed: unnamed, memory: memory, transfer: copyTo,
		temp: func(dir string) (*os.File, error) { return os.CreateTemp(dir, ".keyway-image-*") }}
}

func executable(info fs.FileInfo) bool { return info.Mode().Perm()&0o111 != 0 }

func open(ctx context.Context, path string, o Options) (*Image, error) {
	src, info, err := openSource(path)
	if err != nil {
		return nil, err
	}
	i := &Image{source: path, path: path}
	if o.sys.fixed(src, info) {
		i.file, i.bytes, i.kind = src, src, InPlace
		if err := i.measure(ctx); err != nil {
			_ = src.Close()
			return nil, err
		}
		return i, nil
	}
	defer src.Close()
	var tried []string
	for _, dir := range o.CopyDirs {
		err := i.copyTo(ctx, o.sys, dir, src)
		if err == nil || ctx.Err() != nil {
			return i, err
		}
		tried = append(tried, fmt.Sprintf("a copy in %s: %v", dir, advised(err)))
	}
	err = i.seal(ctx, o.sys, src)
	if err == nil || ctx.Err() != nil {
		return i, err
	}
	tried = append(tried, fmt.Sprintf("a copy in memory: %v", advised(err)))
	return nil, fmt.Errorf("there is no place to run it from (%s); give keyway a run directory that allows programs, or let root own the plugin and its folder, with nobody else's write permission",
		strings.Join(tried, "; "))
}

// fixed reports whether nobody whom this process could be mistaken for can change the file: it can be executed in place.
func (s *system) fixed(src *os.File, info fs.FileInfo) bool {
	if s.euid() == 0 || s.noexec(src) || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return false
	}
	dir, err := os.Stat(filepath.Dir(src.Name()))
	return err == nil && roots(info) && roots(dir)
}

// roots reports whether only root can write.
func roots(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.Mode().Perm()&0o022 == 0
}

// copyTo makes an unnamed copy in dir.
func (i *Image) copyTo(ctx context.Context, s *system, dir string, src *os.File) error {
	w, err := s.unnamed(dir)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) { // this file system has none
		if w, err = s.temp(dir); err == nil {
			defer os.Remove(w.Name())
		}
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if s.noexec(w) {
		return errNoexec
	}
	if err := i.fill(ctx, s, w, src); err != nil {
		return err
	}
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd())) // before the mode forbids it
	if err != nil {
		return err
	}
	err = errors.Join(i.protect(w), w.Close())
	if err == nil {
		err = awaitWriters(ctx, r)
	}
	if err == nil {
		err = i.keep(ctx, r, UnnamedCopy)
	}
	if err != nil {
		_ = r.Close()
	}
	return err
}

// seal makes a copy in memory that nothing can change.
func (i *Image) seal(ctx context.Context, s *system, src *os.File) error {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	m, err := s.memory(filepath.Base(i.source))
	if err != nil {
		return err
	}
	if err = i.fill(ctx, s, m, src); err == nil {
		err = i.protect(m)
	}
	if err == nil {
		_, err = unix.FcntlInt(m.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err == nil {
		err = i.keep(ctx, m, Memory)
	}
	if err != nil {
		_ = m.Close()
	}
	return err
}

// fill copies the source from its beginning.
func (i *Image) fill(ctx context.Context, s *system, w, src *os.File) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return s.transfer(ctx, w, src)
}

// protect lets the copy be executed and not be read: such a process can be inspected by nobody but root, from its first
// instruction on. A script must be readable, for its interpreter opens it.
func (i *Image) protect(f *os.File) error {
	mode := fs.FileMode(0o100)
	script, err := interpreter(f)
	if err != nil {
		return err
	}
	if script != "" {
		mode = 0o500
	}
	return f.Chmod(mode)
}

func (i *Image) keep(ctx context.Context, f *os.File, kind Kind) error {
	i.file, i.bytes, i.kind = f, f, kind
	return i.measure(ctx)
}

// awaitWriters waits until nobody has the file open for writing, for such a file cannot be executed. We have closed it; but
// a child that this process has just forked has it, too, until some moment in its execve, which may be after that of its
// parent's going on. A lease for reading is granted when there are no writers, so it tells.
func awaitWriters(ctx context.Context, r *os.File) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		_, err := unix.FcntlInt(r.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		if !errors.Is(err, unix.EAGAIN) {
			_, _ = unix.FcntlInt(r.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
			return nil // nobody writes, or this file system has no leases
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errNoexec = errors.New("its file system is mounted noexec")

// advised says what an error of the system means for a copy.
func advised(err error) error {
	err = reason(err)
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("the disk is full: %w", err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("it is read-only: %w", err)
	}
	return err
}

func noexec(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}

func unnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
}

// memory makes a file in memory that can be executed and sealed. Since Linux 6.3 that must be asked for, and vm.memfd_noexec
// may forbid it.
func memory(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("the system does not allow it (sysctl vm.memfd_noexec): %w", err)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
