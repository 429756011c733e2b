//go:build e2e && unix

// Package managers_test tells the same story of every secret manager, with the compiled program and plugins: a secret is
// written, read, rotated, listed, deleted, brought back and moved elsewhere, and is the same bytes all along. The servers are
// real ones where there are any, else fakes that are held to recordings of the real services.
package managers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/e2e/openbao"
)

var (
	bao *openbao.Server
	aws *moto.Server // holds callers to their signatures and policies
	bin string       // folder of the compiled program and plugins
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/managers:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if bin, err = os.MkdirTemp("", "keyway-managers"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(bin)
	const module = "github.com/keyway-dev/keyway/"
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", bin+"/", module+"host/cmd/keyway", module+"plugins/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as plugins are built: in the sandbox nothing loads libraries
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	var stop func()
	if bao, stop, err = openbao.Run(); err != nil {
		return 0, err
	}
	defer stop()
	if aws, stop, err = moto.RunEnforced(); err != nil {
		return 0, err
	}
	defer stop()
	return m.Run(), nil
}

type set = map[string]any

// program is the compiled program in a folder of its own, with a configuration and an environment.
type program struct {
	dir string
	env []string // besides PATH
}

// newProgram configures stores that may be written. Credentials are in the environment, where the stores' settings find them.
func newProgram(t *testing.T, stores set, env ...string) program {
	t.Helper()
	p := program{t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)}
	// JSON is YAML.
	raw, err := json.Marshal(set{"version": 1, "plugins": set{"dir": bin}, "stores": stores, "sources": set{"env": []string{"*"}}})
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "keyway.yaml", raw)
	return p
}

func (p program) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// result is what a run of the program left.
type result struct {
	code           int
	stdout, stderr string
}

func (p program) try(t *testing.T, stdin []byte, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "keyway"), args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.dir, p.env, bytes.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// keyway is try where anything but success ends the test.
func (p program) keyway(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	r := p.try(t, stdin, args...)
	if r.code != 0 {
		t.Fatalf("keyway %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// wantFailure runs what must fail with an exit code and a word in its message.
func (p program) wantFailure(t *testing.T, code int, word string, args ...string) {
	t.Helper()
	r := p.try(t, nil, args...)
	if r.code != code || !strings.Contains(r.stderr, word) {
		t.Errorf("keyway %s: exit code %d, %q; want %d and %q", strings.Join(args, " "), r.code, r.stderr, code, word)
	}
}

// wantValue reads a secret by its reference. No message shows a value.
func (p program) wantValue(t *testing.T, ref string, want []byte) {
	t.Helper()
	r := p.try(t, nil, "get", ref)
	if r.code != 0 || r.stdout != string(want) {
		t.Errorf("get %s: exit code %d and %d bytes, want the %d that were written: %s", ref, r.code, len(r.stdout), len(want), r.stderr)
	}
}
