//go:build unix

package cache

import (
	"context"
	"crypto/sha256"
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

// installTimeout bounds one program of an installation.
const installTimeout = 10 * time.Minute

// Once gives a folder that fill has filled, now or in an earlier run, from what its pins say. Test processes that come at the
// same time wait for the first. A run that was cut short leaves its part, and fill begins again in the same folder.
func Once(name string, pins []byte, fill func(dir string) error) (dir string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(pins)
	dir = filepath.Join(root, ".cache", "e2e", name+"-"+hex.EncodeToString(sum[:6]))
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
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return dir, nil
	}
	if err := fill(dir); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return dir, os.WriteFile(complete, nil, 0o644)
}

// Python gives an interpreter that has the packages of a list, whose hashes are pinned.
func Python(name string, requirements []byte) (interpreter string, err error) {
	dir, err := Once(name, requirements, func(dir string) error {
		env, list := filepath.Join(dir, "env"), filepath.Join(dir, "requirements.txt") // an environment cannot be moved
		if err := errors.Join(os.RemoveAll(env), os.WriteFile(list, requirements, 0o644)); err != nil {
			return err
		}
		if _, err := Run("python3", "-m", "venv", env); err != nil {
			return err
		}
		_, err := Run(python(dir), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
			"--only-binary=:all:", "--require-hashes", "-r", list)
		return err
	})
	return python(dir), err
}

func python(dir string) string { return filepath.Join(dir, "env", "bin", "python") }

// Run runs a program of an installation and gives what it printed.
func Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
