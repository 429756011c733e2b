package child

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWorkOnAnOwnThreadIsNeverOnTheMainThread(t *testing.T) {
	main := make(chan bool)
	for range 200 {
		onOwnThread(func() {
			self := unix.Gettid()
			for range 10 {
				runtime.Gosched() // stays where it is
				if unix.Gettid() != self {
					self = 0
				}
			}
			main <- self == 0 || self == unix.Getpid()
		})
	}
	for range 200 {
		if <-main {
			t.Fatal("ran on the main thread, or on more than one")
		}
	}
}

// run starts a shell with a script and no open descriptors but the null device.
func run(t *testing.T, script string) *Process {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Dir: "/", Files: []*os.File{null, null, null}})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestExitIsTold(t *testing.T) {
	for script, want := range map[string]struct {
		text string
		code int
	}{"exit 3": {"exit status 3", 3}, "exit 0": {"exit status 0", 0}, "kill -9 $$": {"signal: killed", -1}} {
		p := run(t, script)
		<-p.Done()
		if p.ExitText() != want.text || p.ExitCode() != want.code {
			t.Errorf("%q ended with %q, %d, want %q, %d", script, p.ExitText(), p.ExitCode(), want.text, want.code)
		}
	}
}

func TestARunningProcessHasNoExit(t *testing.T) {
	p := run(t, "sleep 60")
	if p.Within(time.Millisecond) || p.ExitText() != "" || p.ExitCode() != -1 {
		t.Errorf("exit %q, %d of a running process", p.ExitText(), p.ExitCode())
	}
	p.Terminate()
	<-p.Done()
	if p.ExitText() != "signal: terminated" {
		t.Errorf("ended with %q, want a termination", p.ExitText())
	}
	p.Terminate() // its number may be somebody else's by now: nothing happens
	p.Kill()
}

func TestAProcessStartsWithNothingOfItsParents(t *testing.T) {
	t.Setenv("PARENT_SECRET", "canary")
	p := run(t, `test -z "$PARENT_SECRET" && test "$(pwd)" = / && test "$(ulimit -c)" = 0 && test "$(ulimit -n)" -le 4096`)
	<-p.Done()
	if p.ExitCode() != 0 {
		t.Errorf("ended with %s, want no environment, / as working directory, no core files and 4096 descriptors at most", p.ExitText())
	}
}

func TestAFailedStartIsToldAndLeavesNoThread(t *testing.T) {
	if _, err := Start(Spec{Path: "/no/such/file", Args: []string{"x"}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Start of a missing file: %v, want that it does not exist", err)
	}
	if _, err := Start(Spec{Path: "/", Args: []string{"x"}}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Start of a directory: %v, want no permission", err)
	}
}
