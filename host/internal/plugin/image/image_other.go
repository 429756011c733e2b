//go:build !linux

package image

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyway-dev/keyway/host/internal/plugin/folder"
)

const openFlags = 0

// system is what may fail.
type system struct {
	transfer func(ctx context.Context, to io.Writer, from io.Reader) error
}

func realSystem() *system { return &system{transfer: copyTo} }

func executable(info fs.FileInfo) bool {
	return runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0
}

// open makes a private copy: these systems execute by path only.
func open(ctx context.Context, path string, o Options) (*Image, error) {
	src, _, err := openSource(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	parent := os.TempDir()
	if len(o.CopyDirs) > 0 {
		parent = o.CopyDirs[0]
	}
	dir, err := folder.New(parent, "keyway-image-")
	if err != nil {
		return nil, err
	}
	i := &Image{source: path, path: filepath.Join(dir.Path(), filepath.Base(path)), kind: PrivateCopy, remove: dir.Remove}
	if err := i.fill(ctx, o.sys, src); err != nil {
		return nil, errors.Join(err, i.remove())
	}
	return i, nil
}

// fill writes the copy, and opens and measures it.
func (i *Image) fill(ctx context.Context, s *system, src *os.File) error {
	w, err := os.OpenFile(i.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o500)
	if err != nil {
		return err
	}
	err = s.transfer(ctx, w, src)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if i.bytes, err = os.Open(i.path); err != nil {
		return err
	}
	if err = i.measure(ctx); err != nil {
		_ = i.bytes.Close()
	}
	return err
}
