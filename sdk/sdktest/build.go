package sdktest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Build compiles a plugin and answers the path of its binary. pkg is an import path, or "." for the package under test; it
// is found from the test's working directory. A test process builds each package once: the binary lies beside the test's
// own executable, which go test removes after the run.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	dir, err := buildDir(pkg)
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	if built, err := filepath.Glob(filepath.Join(dir, "done", "*")); err == nil && len(built) == 1 {
		return built[0]
	}
	name := touchSources(t, pkg)
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	goTool(t, "build", "-o", filepath.Join(work, name), pkg)
	done := filepath.Join(dir, "done")
	if err := os.Rename(work, done); err != nil { // a parallel test was faster
		if _, err := os.Stat(done); err != nil {
			t.Fatalf("build %s: %v", pkg, err)
		}
	}
	return filepath.Join(done, name)
}

// buildDir makes the folder of one package, as this process and working directory see it.
func buildDir(pkg string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(wd + "\x00" + pkg))
	dir := filepath.Join(filepath.Dir(self), fmt.Sprintf("plugins-%d", os.Getpid()), hex.EncodeToString(key[:8]))
	return dir, os.MkdirAll(dir, 0o700)
}

// touchSources looks at every source file that goes into pkg. go test remembers what a test looks at, and runs it anew when
// one has changed instead of answering an old result. It answers the name for the binary.
func touchSources(t testing.TB, pkg string) (name string) {
	t.Helper()
	const files = `{{if not .Standard}}{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	for file := range strings.Lines(goTool(t, "list", "-deps", "-f", files, pkg)) {
		_, _ = os.Stat(strings.TrimSpace(file)) // one that is gone fails the build, which says so better
	}
	return path.Base(strings.TrimSpace(goTool(t, "list", "-f", "{{.ImportPath}}", pkg)))
}

func goTool(t testing.TB, args ...string) (stdout string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}
