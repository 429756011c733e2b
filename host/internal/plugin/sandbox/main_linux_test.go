package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// actAs makes the test binary a host of its own, with the privileges and threads that a test needs.
const actAs = "KEYWAY_TEST_ACT_AS"

// The programs that every user may execute: the attempts, and this test binary.
var probe, self string

func TestMain(m *testing.M) {
	if part := os.Getenv(actAs); part != "" {
		os.Exit(act(part))
	}
	os.Exit(runTests(m))
}

// act is one host's life. What goes wrong is on its standard error.
func act(part string) int {
	parts := map[string]func() error{"table": actTable, "main free": actFree, "main locked": actLocked, "setuid": actSetuid}
	if err := parts[part](); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", part, err)
		return 1
	}
	return 0
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keyway-sandbox-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	probe, self = filepath.Join(dir, "probe"), filepath.Join(dir, "host")
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func prepare(dir string) error {
	build := exec.Command("go", "build", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the probe: %w\n%s", err, out)
	}
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(self, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	return errors.Join(to.Close(), os.Chmod(probe, 0o755), os.Chmod(dir, 0o755))
}
