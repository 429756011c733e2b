//go:build e2e && unix

// Package thread_test pulls the whole thread through real parts: the keyway program, compiled plugins and a real OpenBao.
package thread_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
)

var (
	srv *openbao.Server // for all tests that do not break it
	bin string          // folder of the compiled program and plugins
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/thread:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "keyway-thread")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	for name, pkg := range map[string]string{"keyway": "host/cmd/keyway", "vault": "plugins/vault", "local": "plugins/local",
		"example": "sdk/example/plugin", "gateway": "examples/gateway"} {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(dir, name), "github.com/keyway-dev/keyway/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as plugins are built: in the sandbox nothing loads libraries
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
	}
	s, stop, err := openbao.Run()
	if err != nil {
		return 0, err
	}
	defer stop()
	srv = s
	return m.Run(), nil
}

// result is what a run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

// command is a run of the program to be, in a folder of its own.
type command struct {
	dir string
	env []string // besides PATH
}

func newCommand(t *testing.T, env ...string) command {
	t.Helper()
	return command{t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "KEYWAY_PLUGIN_DIR=" + bin}, env...)}
}

func (c command) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c command) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func (c command) keyway(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "keyway"), args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.dir, c.env, strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
