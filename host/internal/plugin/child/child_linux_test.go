package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/internal/seccomp"
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

func TestAProcessGetsNoDescriptorThatItsParentInherited(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD, 50) // as from a service manager: children have it too
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p := run(t, fmt.Sprintf("test -e /proc/self/fd/0 && test ! -e /proc/self/fd/%d", fd))
	<-p.Done()
	if p.ExitCode() != 0 {
		t.Errorf("ended with %s: descriptor %d is open in the child, want it closed", p.ExitText(), fd)
	}
}

// copyOf gives an open copy of a program, whose file is gone.
func copyOf(t *testing.T, program string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAnImageIsExecutedWhateverBecameOfItsPath(t *testing.T) {
	p, err := Start(Spec{Path: "/no/such/file", Args: []string{"sh", "-c", "exit 7"}, Image: copyOf(t, "/bin/sh")})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.ExitCode() != 7 {
		t.Errorf("ended with %s, want the image's exit status 7", p.ExitText())
	}
}

func TestARestrictionThatFailsEndsTheStart(t *testing.T) {
	want := errors.New("refused")
	if _, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh"}, Restrict: func() error { return want }}); !errors.Is(err, want) {
		t.Errorf("Start: %v, want the restriction's error", err)
	}
}

func TestARestrictionIsTheChildsAndNobodyElses(t *testing.T) {
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", `while read -r k v; do test "$k" = NoNewPrivs: && exit "$v"; done </proc/self/status`},
		Restrict: func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	mine, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if p.ExitCode() != 1 || mine != 0 || err != nil {
		t.Errorf("no_new_privs of the child: %s, of ours: %d (error %v), want 1 and 0", p.ExitText(), mine, err)
	}
}

func TestAChildIsLimitedBeforeItsFirstInstruction(t *testing.T) {
	size := uint64(0)
	for range 50 {
		p, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", `test "$(ulimit -n)" = 99 && test "$(ulimit -f)" = 0`}, Limits: Limits{Files: 99, FileSize: &size}})
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if p.ExitCode() != 0 {
			t.Fatalf("ended with %s, want that it sees its limits", p.ExitText())
		}
	}
}

func TestAChildStartsWhereNobodyMayBeTraced(t *testing.T) {
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 7"}, Restrict: func() error {
		filter, err := seccomp.Assemble(seccomp.Deny(unix.SYS_PTRACE)...)
		if err != nil {
			return err
		}
		return errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), filter.Thread())
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.ExitCode() != 7 {
		t.Errorf("ended with %s, want exit status 7", p.ExitText())
	}
}

func TestLimitsAreTheChilds(t *testing.T) {
	size := uint64(0)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := Start(Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 60"}, Files: []*os.File{null, null, null},
		Limits: Limits{Data: 1 << 30, Files: 100, FileSize: &size}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	for resource, want := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 100, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_DATA: 1 << 30} {
		var got unix.Rlimit
		if err := unix.Prlimit(p.PID(), resource, nil, &got); err != nil || got.Cur != want || got.Max != want {
			t.Errorf("limit %d: %d of %d (error %v), want %d", resource, got.Cur, got.Max, err, want)
		}
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
