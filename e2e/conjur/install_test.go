//go:build e2e && unix

package conjur_test

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const installTimeout = 5 * time.Minute

//go:embed requirements.txt
var requirements []byte

// python gives an interpreter that has CyberArk's client, and installs it if no earlier run did. Test processes that come at
// the same time wait for the first.
func python(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256(requirements)
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "e2e", "conjur-api-"+hex.EncodeToString(sum[:6])))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", lock.Name(), err)
	}
	env, complete := filepath.Join(dir, "env"), filepath.Join(dir, "complete")
	interpreter := filepath.Join(env, "bin", "python")
	if _, err := os.Stat(complete); err == nil {
		return interpreter
	}
	if err := fetch(env, filepath.Join(dir, "requirements.txt")); err != nil {
		t.Fatalf("install CyberArk's client: %v", err)
	}
	if err := os.WriteFile(complete, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

// fetch installs the packages, whose hashes are pinned. An environment cannot be moved, so it is made in its place.
func fetch(env, list string) error {
	if err := errors.Join(os.RemoveAll(env), os.WriteFile(list, requirements, 0o644)); err != nil {
		return err
	}
	if err := execute("python3", "-m", "venv", env); err != nil {
		return err
	}
	return execute(filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "-r", list)
}

func execute(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
