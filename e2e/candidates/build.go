package candidates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
)

// Build puts a candidate into a plugin directory, as "bank-VERSION", and answers its path. A file that is there is replaced,
// as an installer would: by another one under its name. The test process compiles once; what it compiled lies
// beside the test's own executable, which go test removes after the run.
func Build(t testing.TB, kind kinds.Kind, version, dir string) string {
	t.Helper()
	path, err := build(t.Context(), kind, version, dir)
	if err != nil {
		t.Fatalf("build candidate %q %s: %v", kind, version, err)
	}
	return path
}

func build(ctx context.Context, kind kinds.Kind, version, dir string) (string, error) {
	base, _ := kind.Split()
	if !slices.Contains(kinds.All(), base) || base != kind && base.WithoutSDK() {
		return "", fmt.Errorf("there is no such kind")
	}
	stamp, err := kinds.NewStamp(kind, version)
	if err != nil {
		return "", err
	}
	program := "bank"
	if base.WithoutSDK() {
		program = "liar"
	}
	compiled, err := compile(ctx, program)
	if err != nil {
		return "", err
	}
	from, to := []byte(kinds.Unstamped), []byte(stamp)
	if n := bytes.Count(compiled, from); n != 1 {
		return "", fmt.Errorf("%d stamps in the program %s, want 1", n, program)
	}
	path := filepath.Join(dir, Provider+"-"+version+suffix())
	return path, install(bytes.Replace(compiled, from, to, 1), path)
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// compile gives one of the two programs that the candidates are made of.
func compile(ctx context.Context, program string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(filepath.Dir(self), fmt.Sprintf("candidates-%d", os.Getpid()))
	path := filepath.Join(dir, program)
	if compiled, err := os.ReadFile(path); err == nil {
		return compiled, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	pkg := "github.com/keyway-dev/keyway/e2e/candidates/" + program
	if err := touchSources(ctx, pkg); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, program)
	if _, err := goTool(ctx, "build", "-ldflags", "-s -w", "-o", out, pkg); err != nil {
		return nil, err
	}
	if err := os.Rename(out, path); err != nil { // over a parallel test's, which is as good
		return nil, err
	}
	return os.ReadFile(path)
}

// touchSources looks at every source file that goes into pkg. go test remembers what a test looks at, and runs it anew when
// one has changed instead of answering an old result.
func touchSources(ctx context.Context, pkg string) error {
	const files = `{{if not .Standard}}{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	listed, err := goTool(ctx, "list", "-deps", "-f", files, pkg)
	for file := range strings.Lines(listed) {
		_, _ = os.Stat(strings.TrimSpace(file)) // one that is gone fails the build, which says so better
	}
	return err
}

func goTool(ctx context.Context, args ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, &stderr)
	}
	return string(out), nil
}

// install writes a program beside its place and moves it there. No process may be started meanwhile: its fork would hold
// the file open for writing, and whoever executes the file then is told that it is busy.
func install(program []byte, path string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := os.CreateTemp(filepath.Dir(path), ".candidate")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing is there once it has moved
	_, err = f.Write(program)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
