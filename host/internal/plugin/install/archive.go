package install

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/keyway-dev/keyway/host/internal/plugin/trust"
)

// maxSize bounds what is installed, in bytes, packed and unpacked.
const maxSize = 256 << 20

var errTooLarge = fmt.Errorf("it is larger than the limit of %d MiB", maxSize>>20)

// staged is an unpacked plugin in a private folder.
type staged struct {
	program   string // path
	signature string // path; empty: there is none
}

// stage copies a program, or unpacks an archive of one, into dir. What is larger than most bytes is refused.
func stage(source, dir string, most int64) (staged, error) {
	f, err := os.Open(source)
	if err != nil {
		return staged{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return staged{}, err
	case !info.Mode().IsRegular():
		return staged{}, errors.New("it is not a regular file")
	case info.Size() > most:
		return staged{}, errTooLarge
	}
	in := bufio.NewReaderSize(f, 1<<20)
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		return unpack(in, dir, most)
	}
	s := staged{program: filepath.Join(dir, filepath.Base(source))}
	if err := write(s.program, in, most); err != nil {
		return staged{}, err
	}
	if s.signature, err = beside(source, s.program); err != nil {
		return staged{}, err
	}
	return s, nil
}

// beside copies the signature that lies beside a program, if one does.
func beside(source, program string) (string, error) {
	f, err := os.Open(source + trust.Suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	path := program + trust.Suffix
	return path, write(path, f, trust.MaxSignature)
}

// unpack takes an archive of one program and perhaps its signature, and nothing else: no folders, no links, no devices, no
// names that lead elsewhere, nothing behind its end.
func unpack(in *bufio.Reader, dir string, most int64) (staged, error) {
	zip, err := gzip.NewReader(in)
	if err != nil {
		return staged{}, fmt.Errorf("it is no gzip file: %w", err)
	}
	zip.Multistream(false)
	plain := &bounded{from: zip, left: most}
	s, err := members(tar.NewReader(plain), dir, most)
	if err != nil {
		return staged{}, err
	}
	if err := ends(plain, in); err != nil {
		return staged{}, err
	}
	if s.program == "" {
		return staged{}, errors.New("there is no program in it, that is a file that may be executed")
	}
	return s, nil
}

func members(archive *tar.Reader, dir string, most int64) (staged, error) {
	var s staged
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, damaged(err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		path := filepath.Join(dir, name)
		switch {
		case h.Typeflag != tar.TypeReg:
			return s, fmt.Errorf("%.80q in it is not a regular file; it may hold one program and its signature", h.Name)
		case name == "" || name == ".." || strings.ContainsAny(name, "/\\\x00:") || !filepath.IsLocal(name):
			return s, fmt.Errorf("the name %.80q in it is not that of a file alone", h.Name)
		case strings.HasSuffix(name, trust.Suffix):
			if s.signature != "" {
				return s, errors.New("there is more than one signature in it")
			}
			s.signature = path
		case h.FileInfo().Mode().Perm()&0o111 == 0:
			return s, fmt.Errorf("%.80q in it is neither a program nor a signature; it may hold nothing else", h.Name)
		case s.program != "":
			return s, errors.New("there is more than one program in it")
		default:
			s.program = path
		}
		if err := write(path, archive, most); err != nil {
			return s, damaged(err)
		}
	}
}

// ends holds that nothing follows the archive: zeros to its last block, and the end of the file.
func ends(plain io.Reader, packed *bufio.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := plain.Read(buf)
		if strings.Trim(string(buf[:n]), "\x00") != "" {
			return errors.New("there is data behind the end of the archive")
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return damaged(err)
		}
	}
	if _, err := packed.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("there is data behind the end of the archive")
	}
	return nil
}

func damaged(err error) error {
	var pe *fs.PathError
	if errors.Is(err, errTooLarge) || errors.As(err, &pe) {
		return err
	}
	return fmt.Errorf("the archive is damaged: %w", err)
}

// write writes a new file that may be executed, of most bytes at most.
func write(path string, from io.Reader, most int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &bounded{from: from, left: most})
	return errors.Join(err, f.Close())
}

// bounded reads no more than left bytes; where there are more it fails.
type bounded struct {
	from io.Reader
	left int64
}

// Read reads.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		var one [1]byte
		if n, err := b.from.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
