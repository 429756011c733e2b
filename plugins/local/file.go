package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/keyway-dev/keyway/sdk"
)

// maxFile bounds a store file, in bytes: all of it is held in memory and written anew at each change.
const maxFile = 64 << 20

// file is the sealed file. Readers take no lock, because a file that has its name is complete and is never written again;
// writers of all processes take turns. It is safe for concurrent use.
type file struct {
	path    string
	create  bool // an absent file is an empty document
	limit   int  // bytes
	keys    *keys
	disk    disk
	writing chan struct{}            // holds one token: one writer of this process at a time asks for the lock
	loading sync.Mutex               // one reader at a time decodes a new content
	seen    atomic.Pointer[snapshot] // the content last read or written
}

type snapshot struct {
	mark mark
	doc  *document
}

// mark tells one content of the file from every other: its head ends in a random nonce. Size and time are there for a copy
// that was cut or laid over the file by other means. The zero mark is that of an absent file. A mark costs an open, a stat
// and a read; the inode alone would not do, since file systems give it to the next file at once.
type mark struct {
	head     [headerSize + nonceSize]byte
	size     int64
	modified int64 // ns
}

func newFile(path string, create bool, k *keys) *file {
	return &file{path: path, create: create, limit: maxFile, keys: k, disk: system{}, writing: make(chan struct{}, 1)}
}

// open gives the file, read up to the end of its head, and its mark; or no file and the zero mark where it is absent and may
// be. The caller closes it.
func (f *file) open() (*os.File, mark, error) {
	h, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // not blocking: a pipe by this name must not hang us
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mark{}, f.absent(err)
	}
	if err != nil {
		return nil, mark{}, err
	}
	m, err := readMark(h)
	if err != nil {
		_ = h.Close()
		return nil, mark{}, err
	}
	return h, m, nil
}

// absent decides what a missing file means. Where the store may create it, it is an empty store; but not when its folder is
// missing, as an unmounted disk's would be, or when it was here before.
func (f *file) absent(err error) error {
	if !f.create {
		return sdk.Errorf(sdk.Unavailable, "%w (and create is false)", err)
	}
	if s := f.seen.Load(); s != nil && s.mark != (mark{}) {
		return sdk.Errorf(sdk.Unavailable, "%w: it was there before; put it back, or open the store anew to begin an empty one", err)
	}
	_, err = os.Stat(filepath.Dir(f.path))
	return err
}

func readMark(h *os.File) (mark, error) {
	info, err := h.Stat()
	if err != nil {
		return mark{}, err
	}
	if !info.Mode().IsRegular() {
		return mark{}, sdk.Errorf(sdk.Unavailable, "%s is not a regular file", h.Name())
	}
	m := mark{size: info.Size(), modified: info.ModTime().UnixNano()}
	if _, err := io.ReadFull(h, m.head[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return mark{}, err
	}
	return m, nil
}

// load gives the content as it is now. The document is shared: do not change it.
func (f *file) load() (*document, error) {
	h, m, err := f.open()
	if err != nil {
		return nil, err
	}
	if h != nil {
		defer func() { _ = h.Close() }()
	}
	if s := f.seen.Load(); s != nil && s.mark == m {
		return s.doc, nil
	}
	f.loading.Lock()
	defer f.loading.Unlock()
	if s := f.seen.Load(); s != nil && s.mark == m {
		return s.doc, nil
	}
	doc := newDocument()
	if h != nil {
		if doc, err = f.decode(h, m); err != nil {
			return nil, err
		}
	}
	f.seen.Store(&snapshot{m, doc})
	return doc, nil
}

// decode reads and opens the rest of a file whose head has been read.
func (f *file) decode(h *os.File, m mark) (*document, error) {
	if m.size > int64(f.limit) {
		return nil, sdk.Errorf(sdk.DataLoss, "%s: %d bytes are more than a store may have (%d)", f.path, m.size, f.limit)
	}
	sealed := bytes.NewBuffer(make([]byte, 0, m.size+bytes.MinRead))
	sealed.Write(m.head[:min(m.size, int64(len(m.head)))])
	if _, err := sealed.ReadFrom(io.LimitReader(h, int64(f.limit))); err != nil {
		return nil, err
	}
	text, err := f.keys.open(sealed.Bytes())
	if err != nil {
		return nil, classify(f.path, "", err)
	}
	doc, err := decode(text)
	if err != nil {
		return nil, classify(f.path, "", err)
	}
	return doc, nil
}

// update lets change work on a copy of the content and writes it, alone among all writers of the file. Nothing is written
// when change answers false or an error. An error of update itself leaves the old content, or the new one when only
// making it durable failed; never anything between.
func (f *file) update(ctx context.Context, change func(*document) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := f.load(); err != nil { // before anything is made in the folder of a file that is not ours
		return err
	}
	select {
	case f.writing <- struct{}{}:
		defer func() { <-f.writing }()
	case <-ctx.Done():
		return fmt.Errorf("another write is under way: %w", ctx.Err())
	}
	unlock, err := lock(ctx, f.path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	doc, err := f.load()
	if err != nil {
		return err
	}
	next := doc.clone()
	if changed, err := change(next); err != nil || !changed {
		return err
	}
	return f.write(next)
}

// write replaces the file. The lock is held.
func (f *file) write(next *document) error {
	text, err := next.encode()
	if err != nil {
		return err
	}
	sealed, err := f.keys.seal(text)
	if err != nil {
		return err
	}
	if len(sealed) > f.limit {
		return sdk.Errorf(sdk.ResourceExhausted, "%s would have %d bytes, more than a store may have (%d); purge secrets, keep fewer versions or use a second store", f.path, len(sealed), f.limit)
	}
	err = replace(f.disk, f.path, sealed)
	f.remember(sealed, next)
	return err
}

// remember spares the next reader the decoding of what we wrote, if it did become the file.
func (f *file) remember(sealed []byte, doc *document) {
	h, m, err := f.open()
	if err != nil || h == nil {
		return
	}
	_ = h.Close()
	if bytes.HasPrefix(sealed, m.head[:]) && m.size == int64(len(sealed)) {
		f.seen.Store(&snapshot{m, doc})
	}
}
