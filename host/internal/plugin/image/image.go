// Package image makes of a plugin's file the bytes that are verified and executed: the same bytes, whatever becomes of the
// file in between.
package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// MaxSize bounds an image, in bytes. The largest plugin that links a cloud provider's client has a thirtieth of it.
const MaxSize = 512 << 20

// Kind tells how an image is kept.
type Kind string

// The kinds, in the order in which they are tried. Where the system executes by path it is a private copy.
const (
	InPlace     Kind = "in place"     // the file itself, which the host's user cannot change
	UnnamedCopy Kind = "unnamed copy" // a file that has no name
	Memory      Kind = "memfd"        // sealed memory: not even the same user can change it; it counts as the host's
	PrivateCopy Kind = "private copy" // a file in a folder that only the host's user can enter
)

// Options say where an image may be kept.
type Options struct {
	CopyDirs []string // directories for a copy; the first that lets programs be executed is taken

	sys *system // nil: the real one; tests replace what fails
}

// Image is an opened program. Its bytes do not change while it is open; processes that run it do not need it to stay open.
// It is safe for concurrent use, but for Close.
type Image struct {
	source  string
	path    string   // where the system executes by path
	file    *os.File // open for reading; nil where the system executes by path
	bytes   *os.File // the same file, or the private copy
	kind    Kind
	size    int64
	digest  Digest
	script  string
	remove  func() error
	release func() error // of a shared one, in place of closing it
}

// Open opens the program at path: it brings its bytes to where they cannot change, and only then hashes them. The file must
// be a regular one that somebody may execute, of 1 byte to MaxSize.
//
// Errors are FailedPrecondition and those of ctx. One for a place where no program can be executed tells each place that was
// tried.
func Open(ctx context.Context, path string, o Options) (*Image, error) {
	if o.sys == nil {
		o.sys = realSystem()
	}
	i, err := open(ctx, path, o)
	if err == nil {
		return i, nil
	}
	if ctx.Err() != nil {
		return nil, sdk.Errorf(sdk.CodeOf(ctx.Err()), "open plugin file %q: %w", path, ctx.Err())
	}
	return nil, sdk.Errorf(sdk.FailedPrecondition, "open plugin file %q: %w", path, reason(err))
}

// File is the descriptor to execute, open for reading; nil where the system executes by path.
func (i *Image) File() *os.File { return i.file }

// Path is what to execute where File is nil, and the name of the program everywhere else.
func (i *Image) Path() string { return i.path }

// Source is the path that the image was read from.
func (i *Image) Source() string { return i.source }

// Digest is the digest of the bytes that are executed.
func (i *Image) Digest() Digest { return i.digest }

// Kind tells how the image is kept.
func (i *Image) Kind() Kind { return i.kind }

// Size is the number of bytes.
func (i *Image) Size() int64 { return i.size }

// Reader gives the bytes that are executed.
func (i *Image) Reader() io.ReaderAt { return i.bytes }

// Script gives the interpreter of a script, the first word of its "#!" line.
func (i *Image) Script() (interpreter string, ok bool) { return i.script, i.script != "" }

// Close lets go of the image. Processes that were started from it run on.
func (i *Image) Close() error {
	if i.release != nil {
		return i.release()
	}
	err := i.bytes.Close()
	if i.remove != nil {
		err = errors.Join(err, i.remove())
	}
	return err
}

// openSource opens the file that the image is made of.
func openSource(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is not a regular file")
	case info.Size() == 0:
		err = errors.New("it is empty")
	case info.Size() > MaxSize:
		err = tooLarge()
	case !executable(info):
		err = fmt.Errorf("its mode %v does not let anybody execute it: %w", info.Mode().Perm(), fs.ErrPermission)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func tooLarge() error { return fmt.Errorf("it is larger than %d MiB", MaxSize>>20) }

// measure fills in what the bytes tell. It runs when nothing can change them any more.
func (i *Image) measure(ctx context.Context) error {
	info, err := i.bytes.Stat()
	if err != nil {
		return err
	}
	if i.size = info.Size(); i.size == 0 || i.size > MaxSize {
		return fmt.Errorf("it has %d bytes, not 1 to %d", i.size, MaxSize)
	}
	if i.script, err = interpreter(i.bytes); err != nil {
		return err
	}
	i.digest, err = DigestOf(&paced{ctx: ctx, Reader: io.NewSectionReader(i.bytes, 0, i.size)})
	return err
}

// maxLine is how much of a "#!" line Linux reads.
const maxLine = 255

// interpreter gives the first word after "#!", or nothing.
func interpreter(r io.ReaderAt) (string, error) {
	head := bufio.NewReader(io.NewSectionReader(r, 0, maxLine))
	line, err := head.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line, ok := strings.CutPrefix(line, "#!")
	if words := strings.Fields(line); ok && len(words) > 0 {
		return words[0], nil
	}
	return "", nil
}

// reason leaves the file's name out of an error that says it elsewhere.
func reason(err error) error {
	if pe, ok := err.(*fs.PathError); ok { //nolint:errorlint // of a wrapped one, the rest counts too
		return pe.Err
	}
	return err
}
