//go:build unix

package folder

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock locks a folder for as long as the result is open. fs.ErrNotExist means that the folder is gone.
func lock(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if err == unix.EWOULDBLOCK { // a sweep has it, and removes it
			return nil, fs.ErrNotExist
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	here, err := os.Stat(path)
	if held, herr := f.Stat(); err != nil || herr != nil || !os.SameFile(here, held) {
		_ = f.Close()
		return nil, fs.ErrNotExist
	}
	return f, nil
}

// sweep removes the private folders in dir whose makers are gone: nobody holds their locks. Only this user's are touched.
// What cannot be removed is left for the next time.
func sweep(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), prefix)
		if !ours || !e.IsDir() || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if held, err := lock(path); err == nil {
			_ = os.RemoveAll(path)
			_ = held.Close()
		}
	}
}
