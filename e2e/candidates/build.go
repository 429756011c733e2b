package candidates

import (
	"context"
	"fmt"
	"io"
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
// as an installer would: by another one under its name. The test process compiles each kind and version once; the binaries
// lie beside the test's own executable, which go test removes after the run.
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
	built, err := compile(ctx, kind, version)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, Provider+"-"+version+suffix())
	return path, install(built, path)
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// compile gives the binary of a candidate.
func compile(ctx context.Context, kind kinds.Kind, version string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(self), fmt.Sprintf("candidates-%d", os.Getpid()))
	built := filepath.Join(dir, string(kind)+"-"+version)
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	pkg := "github.com/keyway-dev/keyway/e2e/candidates/bank"
	if base, _ := kind.Split(); base.WithoutSDK() {
		pkg = "github.com/keyway-dev/keyway/e2e/candidates/liar"
	}
	if err := touchSources(ctx, pkg); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, "out")
	flags := fmt.Sprintf("-s -w -X main.kind=%s -X main.version=%s", kind, version)
	if _, err := goTool(ctx, "build", "-ldflags", flags, "-o", out, pkg); err != nil {
		return "", err
	}
	return built, os.Rename(out, built) // a parallel test's is as good
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

// install copies a binary, beside its place and then into it. No process may be started meanwhile: its fork would hold the
// file open for writing, and whoever executes the file then is told that it is busy.
func install(from, to string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".candidate")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Chmod(0o755); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}
