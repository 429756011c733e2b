package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// program writes an executable file.
func program(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// content reads an image's bytes.
func content(t *testing.T, i *Image) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(i.Reader(), 0, i.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnImageIsTheFilesBytesAndTheirDigest(t *testing.T) {
	path := program(t, "the bytes")
	i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := DigestOf(strings.NewReader("the bytes"))
	if i.Digest() != want || i.Size() != 9 || i.Source() != path || content(t, i) != "the bytes" {
		t.Errorf("image: digest %v, %d bytes of %s, want %v, 9 of %s", i.Digest(), i.Size(), i.Source(), want, path)
	}
	if err := i.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestAnImageDoesNotChangeWithItsFile(t *testing.T) {
	path := program(t, "before")
	i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if err := os.WriteFile(path, []byte("behind"), 0o755); err != nil { // the same file
		t.Fatal(err)
	}
	if got := content(t, i); got != "before" {
		t.Errorf("the image holds %q after its file was written, want %q", got, "before")
	}
}

func TestCopiesLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"program", "#!/bin/sh\n"} {
		i, err := Open(t.Context(), program(t, content), Options{CopyDirs: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS == "linux" {
			noFiles(t, dir) // while it is open
		}
		if err := i.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	noFiles(t, dir)
}

func noFiles(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory for copies: %v, %v; want nothing", left, err)
	}
}

func TestScriptsAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"#!/usr/bin/python3 -I\nprint()": "/usr/bin/python3", "#! /bin/sh": "/bin/sh", "#!\n/bin/sh": "", "#!": "", "\x7fELF": "", " #!/bin/sh": "",
		"#!/" + strings.Repeat("x", 300) + "\n": "/" + strings.Repeat("x", maxLine-3),
	} {
		i, err := Open(t.Context(), program(t, text), Options{CopyDirs: []string{t.TempDir()}})
		if err != nil {
			t.Fatal(err)
		}
		if by, ok := i.Script(); by != want || ok != (want != "") {
			t.Errorf("interpreter of %.20q = %q, %v, want %q", text, by, ok, want)
		}
		_ = i.Close()
	}
}

func TestWhatIsNoProgramIsRefused(t *testing.T) {
	dir := t.TempDir()
	empty, plain, large := filepath.Join(dir, "empty"), filepath.Join(dir, "plain"), filepath.Join(dir, "large")
	for path, mode := range map[string]os.FileMode{empty: 0o755, plain: 0o644, large: 0o755} {
		if err := os.WriteFile(path, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(empty, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxSize+1); err != nil { // a hole: it takes no space
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		empty: "it is empty", large: "larger than 512 MiB", dir: "not a regular file", filepath.Join(dir, "none"): "no such file",
		plain: "does not let anybody execute it",
	} {
		if path == plain && runtime.GOOS == "windows" {
			continue
		}
		i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}})
		if i != nil || sdk.CodeOf(err) != sdk.FailedPrecondition && path != dir {
			t.Errorf("Open(%s) = %v, %v, want FailedPrecondition", path, i, err)
		}
		if runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("Open(%s): %v, want one line with %q", path, err, says)
		}
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sys := realSystem()
	copied := sys.transfer
	sys.transfer = func(ctx context.Context, to io.Writer, from io.Reader) error {
		cancel()
		return copied(ctx, to, from)
	}
	i, err := Open(ctx, program(t, "x"), Options{CopyDirs: []string{t.TempDir()}, sys: sys})
	if i != nil || sdk.CodeOf(err) != sdk.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that ends = %v, %v, want Canceled", i, err)
	}
}

// endless is a file that grows while it is read.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAFileThatGrowsIsBounded(t *testing.T) {
	if err := copyTo(t.Context(), io.Discard, endless{}); err == nil || !strings.Contains(err.Error(), "512 MiB") {
		t.Errorf("copy of a file without end: %v, want that it is too large", err)
	}
}
