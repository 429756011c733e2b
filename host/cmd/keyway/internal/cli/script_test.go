package cli_test

import (
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/cli"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"keyway": func() { os.Exit(cli.Main("9.9.9", os.Args[1:])) },
	})
}

// TestScripts runs the stories in testdata/script: the program itself, with plugins as processes.
func TestScripts(t *testing.T) {
	plugins := t.TempDir()
	install(t, sdktest.Build(t, "./testdata/bank"), filepath.Join(plugins, "bank"))
	install(t, sdktest.Build(t, "github.com/keyway-dev/keyway/plugins/local"), filepath.Join(plugins, "local"))
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("KEYWAY_PLUGIN_DIR", plugins)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else every command takes a second more under the race detector
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, ".tmp"))
			key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))
			return os.WriteFile(filepath.Join(e.WorkDir, "store.key"), []byte(key), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serving": serving},
	})
}

func install(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// exits runs a program and holds its exit code against the one that the script names: exits 3 keyway get …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT…]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ee *exec.ExitError
		if !errors.As(err, &ee) {
			ts.Fatalf("%v", err)
		}
		got = ee.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
