package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
)

// disk is the file that lines go to, through rotations. It is for one goroutine.
type disk struct {
	path    string
	rotate  int64
	keep    int
	log     *slog.Logger
	file    *os.File // nil after a failed open
	growing bool     // a rotation failed; it was told
}

var errNotRegular = errors.New("not a regular file")

func (d *disk) open() error {
	if info, err := os.Stat(d.path); err == nil && !info.Mode().IsRegular() {
		return errNotRegular // a pipe without a reader would block the open
	}
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	d.file = f
	syncFolder(d.path)
	return nil
}

// syncFolder has the system keep the name of a file that was made. Where it cannot, the file's own fsync has to do.
func syncFolder(path string) {
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}

func (d *disk) close() {
	if d.file != nil {
		_ = d.file.Sync() // what nobody waited for
		_ = d.file.Close()
		d.file = nil
	}
}

// write appends whole lines, or nothing; durable ones are on the disk when it returns.
func (d *disk) write(lines []byte, durable bool) error {
	if err := d.current(); err != nil {
		return err
	}
	defer func() { unlock(d.file) }() // the file that is current then
	size, err := d.room(int64(len(lines)))
	if err != nil {
		return err
	}
	if _, err := d.file.Write(lines); err != nil {
		return errors.Join(err, d.file.Truncate(size))
	}
	if durable {
		return d.file.Sync()
	}
	return nil
}

// current makes d.file the file at the path, locked: it may have been moved away, by this host's rotation in another process
// or by another program, also between the look and the lock.
func (d *disk) current() error {
	for {
		if d.file == nil {
			if err := d.open(); err != nil {
				return err
			}
		}
		if err := lock(d.file); err != nil {
			return err
		}
		mine, err := d.file.Stat()
		if err != nil {
			unlock(d.file)
			return err
		}
		at, err := os.Stat(d.path)
		if err == nil && os.SameFile(mine, at) {
			return nil
		}
		d.close() // which unlocks it
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// room rotates the file when n more bytes are too many, ends a line that a killed process left in part, and gives the size.
func (d *disk) room(n int64) (int64, error) {
	info, err := d.file.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	if size == 0 || size+n > d.rotate && d.begin() {
		return 0, nil
	}
	last := make([]byte, 1)
	if _, err := d.file.ReadAt(last, size-1); err != nil {
		return 0, err
	}
	if last[0] == '\n' {
		return size, nil
	}
	if _, err := d.file.Write([]byte("\n")); err != nil {
		return 0, err
	}
	return size + 1, nil
}

// begin moves the old files on by one and begins a new one, locked. While that is not possible the present one grows.
func (d *disk) begin() bool {
	next, err := d.shift()
	if err != nil {
		if !d.growing {
			d.log.Error("the audit cannot be rotated; it grows", "path", d.path, "error", err)
		}
		d.growing = true
		return false
	}
	d.growing = false
	d.close()
	d.file = next
	return true
}

func (d *disk) shift() (*os.File, error) {
	free := 1 // the first name that nothing has, or the oldest, which goes
	for ; free < d.keep; free++ {
		if _, err := os.Lstat(d.old(free)); err != nil {
			break
		}
	}
	for i := free; i > 1; i-- {
		if err := os.Rename(d.old(i-1), d.old(i)); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(d.path, d.old(1)); err != nil {
		return nil, err
	}
	next, err := os.OpenFile(d.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin a new file: %w", err), os.Rename(d.old(1), d.path))
	}
	if err := lock(next); err != nil {
		return nil, errors.Join(err, next.Close())
	}
	syncFolder(d.path)
	return next, nil
}

func (d *disk) old(i int) string { return d.path + "." + strconv.Itoa(i) }
