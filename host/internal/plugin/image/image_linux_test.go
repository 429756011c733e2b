package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// run executes an image as a plugin is executed: by its descriptor, the child's last.
func run(t *testing.T, i *Image, cred *syscall.Credential) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{i.File()}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

// shells writes two programs, the second of which stands for an attacker's.
func shells(t *testing.T) (path, evil string) {
	t.Helper()
	path, evil = program(t, "#!/bin/sh\necho good\n"), program(t, "#!/bin/sh\necho evil\n")
	return path, evil
}

// TestTheBytesThatAreHashedAreExecuted replaces the file at every step between finding it and executing it, by a rename, by
// writing into it, and by truncating it. Whatever is executed has the digest that was told.
func TestTheBytesThatAreHashedAreExecuted(t *testing.T) {
	replacements := map[string]func(path, evil string) error{
		"renamed": func(path, evil string) error { return os.Rename(evil, path) },
		"written": func(path, evil string) error {
			b, err := os.ReadFile(evil)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.Write(b)
			return err
		},
		"linked": func(path, evil string) error {
			_ = os.Remove(path)
			return os.Symlink(evil, path)
		},
	}
	for how, replace := range replacements {
		for _, step := range []string{"before the copy has a file", "before the copy", "after the copy", "before execution"} {
			for _, kind := range []Kind{UnnamedCopy, Memory} {
				t.Run(how+" "+step+" "+string(kind), func(t *testing.T) {
					path, evil := shells(t)
					at := func(now string) {
						if now == step {
							if err := replace(path, evil); err != nil {
								t.Error(err)
							}
						}
					}
					i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}, sys: interrupted(kind, at)})
					if err != nil {
						t.Fatal(err)
					}
					defer i.Close()
					at("before execution")
					ran := run(t, i, nil)
					want := fmt.Sprintf("#!/bin/sh\necho %s\n", strings.TrimSpace(ran))
					if digest, _ := DigestOf(strings.NewReader(want)); i.Kind() != kind || i.Digest() != digest {
						t.Errorf("%s: executed %q, but digest %v is not that of it", i.Kind(), ran, i.Digest())
					}
					if (step == "after the copy" || step == "before execution" || how != "written") && ran != "good\n" {
						t.Errorf("executed %q, want the file that was opened", ran)
					}
				})
			}
		}
	}
}

// interrupted is the real system that tells where it is, and makes images of one kind.
func interrupted(kind Kind, at func(step string)) *system {
	s := realSystem()
	unnamed, copied := s.unnamed, s.transfer
	s.unnamed = func(dir string) (*os.File, error) {
		at("before the copy has a file")
		if kind == Memory {
			return nil, unix.EROFS
		}
		return unnamed(dir)
	}
	s.transfer = func(ctx context.Context, to io.Writer, from io.Reader) error {
		at("before the copy")
		defer at("after the copy")
		return copied(ctx, to, from)
	}
	return s
}

func TestEveryKindCanBeExecutedByRootAndOthers(t *testing.T) {
	missing := func(string) (*os.File, error) { return nil, unix.EOPNOTSUPP }
	binary, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*system)
		kind   Kind
	}{
		"unnamed copy":              {func(*system) {}, UnnamedCopy},
		"no unnamed files":          {func(s *system) { s.unnamed = missing }, UnnamedCopy},
		"no execution on the disk":  {func(s *system) { s.noexec = func(*os.File) bool { return true } }, Memory},
		"read-only disk":            {func(s *system) { s.unnamed = func(string) (*os.File, error) { return nil, unix.EROFS } }, Memory},
		"a disk that fills up":      {fillsUp, Memory},
		"no directory for a copy":   {func(s *system) { s.unnamed = func(string) (*os.File, error) { return nil, unix.ENOENT } }, Memory},
		"not root, not root's file": {func(s *system) { s.euid = func() int { return 65534 } }, UnnamedCopy},
	} {
		for what, path := range map[string]string{"program": program(t, string(binary)), "script": program(t, "#!/bin/sh\nexit 0\n")} {
			t.Run(name+" "+what, func(t *testing.T) {
				if err := os.Chmod(path, 0o777); err != nil {
					t.Fatal(err)
				}
				s := realSystem()
				c.change(s)
				i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}, sys: s})
				if err != nil {
					t.Fatal(err)
				}
				defer i.Close()
				if i.Kind() != c.kind {
					t.Errorf("kind %q, want %q", i.Kind(), c.kind)
				}
				if got := run(t, i, nil); got != "" {
					t.Errorf("it ran as this user with %q", got)
				}
				info, err := i.File().Stat()
				if err != nil || info.Mode().Perm()&0o477 != 0 && what == "program" {
					t.Errorf("mode %v, %v: only execution may be allowed", info.Mode(), err)
				}
				if os.Geteuid() == 0 {
					asAnother(t, i)
				}
			})
		}
	}
}

// asAnother runs the image as the user that owns it, without root's rights.
func asAnother(t *testing.T, i *Image) {
	t.Helper()
	const nobody = 65534
	if err := i.File().Chown(nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if got := run(t, i, &syscall.Credential{Uid: nobody, Gid: nobody}); got != "" {
		t.Errorf("it ran as another user with %q", got)
	}
}

// fillsUp makes the disk full after the first byte; memory is not.
func fillsUp(s *system) {
	copied := s.transfer
	s.transfer = func(ctx context.Context, to io.Writer, from io.Reader) error {
		f, ok := to.(*os.File)
		var st unix.Statfs_t
		if ok && unix.Fstatfs(int(f.Fd()), &st) == nil && st.Type == unix.TMPFS_MAGIC {
			return copied(ctx, to, from)
		}
		_, _ = io.CopyN(to, from, 1)
		return unix.ENOSPC
	}
}

func TestNoPlaceToRunFromIsToldForEachPlace(t *testing.T) {
	s := realSystem()
	s.noexec = func(*os.File) bool { return true }
	s.memory = func(string) (*os.File, error) { return nil, fmt.Errorf("sysctl vm.memfd_noexec: %w", unix.EACCES) }
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "absent")
	i, err := Open(t.Context(), program(t, "x"), Options{CopyDirs: []string{first, second}, sys: s})
	if i != nil || err == nil {
		t.Fatalf("Open = %v, %v, want an error", i, err)
	}
	for _, says := range []string{first + ": its file system is mounted noexec", second + ": no such file", "vm.memfd_noexec", "run directory that allows programs"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("error %q, want %q in it", err, says)
		}
	}
	noFiles(t, first)
}

func TestInPlaceIsForRootsFilesInRootsFoldersOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: in place is tried on the system's own programs alone")
		inPlace(t, "/bin/true", true)
		return
	}
	path := program(t, "x")
	dir := filepath.Dir(path)
	modes := func(file, folder os.FileMode) {
		t.Helper()
		for p, m := range map[string]os.FileMode{path: file, dir: folder} {
			if err := os.Chmod(p, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	modes(0o755, 0o755)
	inPlace(t, path, true)
	modes(0o775, 0o755)
	inPlace(t, path, false)
	modes(0o755, 0o777)
	inPlace(t, path, false)
	modes(0o755|os.ModeSetuid, 0o755)
	inPlace(t, path, false)
	modes(0o755, 0o755)
	if err := os.Chown(path, 65534, -1); err != nil {
		t.Fatal(err)
	}
	inPlace(t, path, false)
}

// inPlace opens a file as a host that is not root.
func inPlace(t *testing.T, path string, want bool) {
	t.Helper()
	s := realSystem()
	s.euid = func() int { return 1000 }
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	i, err := Open(t.Context(), path, Options{CopyDirs: []string{t.TempDir()}, sys: s})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if got := i.Kind() == InPlace; got != want {
		t.Errorf("%s is kept as %q, want in place: %v", path, i.Kind(), want)
	}
}

func TestAnImageCannotBeWritten(t *testing.T) {
	for _, kind := range []Kind{UnnamedCopy, Memory} {
		i, err := Open(t.Context(), program(t, "the bytes"), Options{CopyDirs: []string{t.TempDir()}, sys: interrupted(kind, func(string) {})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.File().WriteAt([]byte("evil"), 0); err == nil {
			t.Errorf("%s can be written by its descriptor", kind)
		}
		if err := i.File().Truncate(0); err == nil {
			t.Errorf("%s can be truncated by its descriptor", kind)
		}
		_ = i.Close()
	}
}

func TestAPipeInPlaceOfTheFileIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if i, err := Open(t.Context(), path, Options{}); i != nil || err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Open of a pipe = %v, %v, want that it is not a regular file", i, err)
	}
}

// TestManyImagesWhileOthersFork holds that a copy can be executed at once, although other children were being forked while
// it was open for writing.
func TestManyImagesWhileOthersFork(t *testing.T) {
	done := make(chan struct{})
	forked := make(chan struct{})
	go func() {
		defer close(forked)
		for {
			select {
			case <-done:
				return
			default:
				_ = exec.CommandContext(context.WithoutCancel(t.Context()), "/bin/true").Run()
			}
		}
	}()
	path, dir := program(t, "#!/bin/sh\nexit 0\n"), t.TempDir()
	for range 50 {
		i, err := Open(t.Context(), path, Options{CopyDirs: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, i, nil); got != "" {
			t.Errorf("it ran with %q", got)
		}
		_ = i.Close()
	}
	close(done)
	<-forked
}
