package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/keyway-dev/keyway/sdk"
)

// folders are where one kind of file may be read. Each is opened anew for every read, so that one may be replaced as a
// whole; while it is open the system keeps every path inside: neither ".." nor a symbolic link leads out.
type folders struct {
	named string // what an operator sets to allow more
	dirs  []string
}

// check opens each folder once: one that cannot be opened is a mistake in the configuration.
func (f folders) check() error {
	for _, d := range f.dirs {
		r, err := os.OpenRoot(d)
		if err != nil {
			return sdk.Errorf(sdk.FailedPrecondition, "open the folder %s of %s: %v", d, f.named, reason(err))
		}
		_ = r.Close()
	}
	return nil
}

// read reads name from the first folder that has it. A folder that has it and refuses it ends the search.
func (f folders) read(kind, name string) (sdk.Secret, error) {
	what := kind + "/" + name
	if len(f.dirs) == 0 {
		return sdk.Secret{}, sdk.Errorf(sdk.PermissionDenied, "read %s: no folder to read from; set %s", what, f.named)
	}
	for _, d := range f.dirs {
		raw, err := readIn(d, filepath.FromSlash(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return sdk.Secret{}, classify(what, err)
		}
		return secret(what, raw)
	}
	return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "read %s: no such file", what)
}

// readIn reads a regular file in a folder.
func readIn(dir, name string) (sdk.Sensitive, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	defer r.Close()
	return readRegular(r.Stat, r.Open, name)
}

// readRegular reads a regular file, without one newline at its end. Of a file over the limit it reads enough to be over it.
func readRegular(stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error), name string) (sdk.Sensitive, error) {
	info, err := stat(name)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return sdk.Sensitive{}, errNotFile
	}
	file, err := open(name)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, sdk.MaxValue+3))
	return sdk.NewSensitive(trimNewline(raw)), err
}

var errNotFile = errors.New("it is not a regular file")

func trimNewline(b []byte) []byte {
	if t, ok := bytes.CutSuffix(b, []byte("\r\n")); ok {
		return t
	}
	return bytes.TrimSuffix(b, []byte("\n"))
}

func classify(what string, err error) error {
	switch {
	case errors.Is(err, errNotFile):
		return sdk.Errorf(sdk.InvalidArgument, "read %s: %v", what, err)
	case errors.Is(err, fs.ErrPermission):
		return sdk.Errorf(sdk.PermissionDenied, "read %s: the system refuses it", what)
	case errors.Is(err, fs.ErrNotExist):
		return sdk.Errorf(sdk.NotFound, "read %s: no such file", what)
	}
	// What remains is a path that leaves its folder, or a failing disk.
	return sdk.Errorf(sdk.PermissionDenied, "read %s: %v", what, reason(err))
}

// reason is an error without the operation and path that the message has already.
func reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
