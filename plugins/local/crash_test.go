package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

var errCrash = errors.New("the process has died")

// crashDisk dies after a number of steps; each byte written and each other call is one. From then on nothing happens, also
// no cleaning up.
type crashDisk struct {
	system
	left     int
	unsynced map[string]bool // files whose content a loss of power would take
	moved    func()          // undoes a rename whose folder was not synced
}

func (d *crashDisk) step() error {
	if d.left == 0 {
		return errCrash
	}
	d.left--
	return nil
}

func (d *crashDisk) create(path string) (sink, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	w, err := d.system.create(path)
	d.unsynced[path] = true
	return &crashFile{sink: w, disk: d, path: path}, err
}

func (d *crashDisk) rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	old, err := os.ReadFile(to)
	d.moved = func() {
		if errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(to)
			return
		}
		_ = os.WriteFile(to, old, 0o600)
	}
	d.unsynced[to], d.unsynced[from] = d.unsynced[from], false
	return d.system.rename(from, to)
}

func (d *crashDisk) remove(path string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.system.remove(path)
}

func (d *crashDisk) syncDir(string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.moved = nil
	return nil
}

// losePower takes what was not synced: half of a file's content, and, if asked, a rename.
func (d *crashDisk) losePower(t *testing.T, renames bool) {
	t.Helper()
	for path, lost := range d.unsynced {
		info, err := os.Stat(path)
		if !lost || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.Truncate(path, info.Size()/2)); err != nil {
			t.Fatal(err)
		}
	}
	if renames && d.moved != nil {
		d.moved()
	}
}

type crashFile struct {
	sink
	disk *crashDisk
	path string
}

func (f *crashFile) Write(b []byte) (int, error) {
	n := min(len(b), f.disk.left)
	f.disk.left -= n
	if _, err := f.sink.Write(b[:n]); err != nil {
		return 0, err
	}
	if n < len(b) {
		return n, errCrash
	}
	return n, nil
}

// hasty is a disk that waits for nothing, for the writes around the one that is tested.
type hasty struct{ system }

func (hasty) syncDir(string) error { return nil }

func (d hasty) create(path string) (sink, error) {
	w, err := d.system.create(path)
	return hastyFile{w}, err
}

type hastyFile struct{ sink }

func (hastyFile) Sync() error { return nil }

func (f *crashFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.disk.unsynced[f.path] = false
	return nil
}

// TestAWriterThatDiesAtAnyByteLeavesTheOldOrTheNewContent walks through every moment of every kind of write, for a killed
// process and for a loss of power with and without the renames that were not yet synced.
func TestAWriterThatDiesAtAnyByteLeavesTheOldOrTheNewContent(t *testing.T) {
	put := func(s *store) error {
		_, err := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("new")})
		return err
	}
	purge := func(s *store) error {
		_, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "a", Purge: true})
		return err
	}
	for _, c := range []struct {
		name     string
		from, to string // values of secret a; empty is absent
		write    func(*store) error
	}{
		{"new file", "", "new", put},
		{"new version", "old", "new", put},
		{"purge", "old", "", purge},
	} {
		for _, end := range []string{"killed", "power lost", "power and rename lost"} {
			t.Run(c.name+", "+end, func(t *testing.T) {
				path := storePath(t)
				if c.from != "" {
					mustPut(t, openStore(t, path, nil), "a", c.from)
				}
				before := content(t, path)
				for steps := 0; ; steps++ {
					reset(t, path, before)
					if done := crashOnce(t, path, steps, c.from, c.to, end, c.write); done {
						if steps < 100 {
							t.Errorf("the write took %d steps, so that few were tested", steps)
						}
						return
					}
				}
			})
		}
	}
}

// reset gives a file the content it had before.
func reset(t *testing.T, path, before string) {
	t.Helper()
	switch now := content(t, path); {
	case now == before:
	case before == "absent":
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	default:
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// crashOnce lets a write die after some steps and looks at what is left. It reports whether the write came to its end.
func crashOnce(t *testing.T, path string, steps int, from, to, end string, write func(*store) error) (done bool) {
	t.Helper()
	s := openStore(t, path, nil)
	d := &crashDisk{left: steps, unsynced: map[string]bool{}}
	s.file.disk = d
	err := write(s)
	if end != "killed" {
		d.losePower(t, end == "power and rename lost")
	}
	after := openStore(t, path, nil)
	after.file.disk = hasty{}
	got, getErr := after.Get(t.Context(), sdk.GetRequest{Name: "a"})
	value := string(got.Value.Reveal())
	if getErr != nil && sdk.CodeOf(getErr) != sdk.NotFound || value != from && value != to || err == nil && value != to {
		t.Fatalf("died after step %d (%v): the value is %q (%v), want %q or %q", steps, err, value, getErr, from, to)
	}
	if err != nil && steps%16 > 0 { // what is left meets the next try, or this one at every 16th step
		return false
	}
	mustPut(t, after, "next", "n")
	wantValue(t, after, "next", "n")
	if content(t, path+".tmp") != "absent" {
		t.Fatalf("died after step %d: the next write left the half-written file", steps)
	}
	return err == nil
}

// faultyDisk fails one call with one error.
type faultyDisk struct {
	system
	call string
	err  error
}

func (d faultyDisk) fault(call, path string) error {
	if d.call != call {
		return nil
	}
	return &fs.PathError{Op: call, Path: path, Err: d.err}
}

func (d faultyDisk) create(path string) (sink, error) {
	if err := d.fault("create", path); err != nil {
		return nil, err
	}
	w, err := d.system.create(path)
	return faultyFile{w, d, path}, err
}

func (d faultyDisk) rename(from, to string) error {
	return errors.Join(d.fault("rename", to), d.unless("rename", func() error { return d.system.rename(from, to) }))
}

func (d faultyDisk) unless(call string, do func() error) error {
	if d.call == call {
		return nil
	}
	return do()
}

type faultyFile struct {
	sink
	disk faultyDisk
	path string
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.disk.fault("write", f.path); err != nil {
		n, _ := f.sink.Write(b[:len(b)/2])
		return n, err
	}
	return f.sink.Write(b)
}

func (f faultyFile) Sync() error {
	return errors.Join(f.disk.fault("sync", f.path), f.sink.Sync())
}

func TestADiskThatFailsLeavesTheOldContentAndNothingBesideIt(t *testing.T) {
	for _, c := range []struct {
		call string
		err  error
		want sdk.Code
	}{
		{"create", syscall.EROFS, sdk.Unavailable},
		{"create", syscall.ENOSPC, sdk.Unavailable},
		{"create", syscall.EACCES, sdk.PermissionDenied},
		{"write", syscall.ENOSPC, sdk.Unavailable},
		{"sync", syscall.EIO, sdk.Unavailable},
		{"rename", syscall.EPERM, sdk.PermissionDenied},
	} {
		t.Run(fmt.Sprint(c.call, " ", c.err), func(t *testing.T) {
			path := storePath(t)
			s := openStore(t, path, nil)
			mustPut(t, s, "a", "old")
			before := folder(t, path)
			s.file.disk = faultyDisk{call: c.call, err: c.err}
			_, err := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("new")})
			wantCode(t, err, c.want, "Put")
			var e *sdk.Error
			if !errors.As(err, &e) || e.Reason != c.err.Error() || !strings.Contains(e.Message, path) {
				t.Errorf("Put: %#v, want the path and the system's reason %q", err, c.err)
			}
			if folder(t, path) != before {
				t.Error("the folder is not as before")
			}
			wantValue(t, s, "a", "old")
		})
	}
}
