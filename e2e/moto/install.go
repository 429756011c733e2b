//go:build unix

package moto

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
	"strings"
	"syscall"
	"time"
)

const installTimeout = 10 * time.Minute

//go:embed requirements.txt
var requirements []byte

// install gives the path of a Python that has the server, and makes its environment if no earlier run did. Test processes
// that come at the same time wait for the first.
func install() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(requirements)
	dir := filepath.Join(root, ".cache", "e2e", "moto-"+hex.EncodeToString(sum[:6]))
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
	env, complete := filepath.Join(dir, "env"), filepath.Join(dir, "complete")
	python := filepath.Join(env, "bin", "python")
	if _, err := os.Stat(complete); err == nil {
		return python, nil
	}
	if err := fetch(env, filepath.Join(dir, "requirements.txt")); err != nil {
		return "", err
	}
	return python, os.WriteFile(complete, nil, 0o644)
}

// fetch installs the packages, whose hashes are pinned. An environment cannot be moved, so it is made in its place.
func fetch(env, list string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	if err := errors.Join(os.RemoveAll(env), os.WriteFile(list, requirements, 0o644)); err != nil {
		return err
	}
	if err := run(ctx, "python3", "-m", "venv", env); err != nil {
		return err
	}
	return run(ctx, filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "-r", list)
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
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
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}
