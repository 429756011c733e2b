package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is what a writer does to files. Tests put one in its place that stops in the middle.
type disk interface {
	create(path string) (sink, error) // fails where path exists
	rename(from, to string) error
	remove(path string) error
	syncDir(path string) error
}

type sink interface {
	io.WriteCloser
	Sync() error
}

// replace gives the file at path the content b, for readers and for a machine that loses power at any moment, all or
// nothing: b goes to a file beside it and is on the disk before it takes the name. The caller holds the lock, so that a
// file of that other name can only be what a killed writer has left.
func replace(d disk, path string, b []byte) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file, and writing would replace it; name the file itself", path)
	}
	tmp := path + ".tmp"
	if err := d.remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := fill(d, tmp, b)
	if err == nil {
		err = d.rename(tmp, path)
	}
	if err != nil {
		_ = d.remove(tmp) // on a full disk it would be in the way; the next write tries again
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

func fill(d disk, path string, b []byte) error {
	w, err := d.create(path)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err == nil {
		err = w.Sync()
	}
	if closing := w.Close(); err == nil {
		err = closing
	}
	return err
}

// system is the disk of the machine.
type system struct{}

func (system) create(path string) (sink, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // not f: a nil *os.File is not a nil sink
	}
	return f, nil
}

func (system) rename(from, to string) error { return os.Rename(from, to) }
func (system) remove(path string) error     { return os.Remove(path) }

// syncDir makes a rename durable. Some file systems cannot sync a folder, and say so with EINVAL; Windows keeps renames in
// its journal and has no such call.
func (system) syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !folderSyncMissing {
		return err
	}
	return nil
}
