package launch_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/launch"
)

// The test's own binary plays the launcher and the programs that it starts.
const roleVariable = "KEYWAY_LAUNCH_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		// Under nohup, or behind a shell's &, some signals are ignored, and programs that we start would inherit that. What
		// we catch they get as it is by default.
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGQUIT)
		os.Exit(m.Run())
	case "launcher":
		launcher()
	case "signals":
		signals()
	case "orphan":
		orphan()
	}
}

// launcher runs its arguments, after the first, in the role that the first names.
func launcher() {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	code, err := launch.Run(launch.Program{Args: []string{os.Args[0]}, Env: []string{roleVariable + "=" + os.Args[1], "PATH=" + os.Getenv("PATH")}})
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// signals prints what it gets, and ends with 3 on SIGTERM.
func signals() {
	got := make(chan os.Signal, 16)
	signal.Notify(got, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT)
	fmt.Println("ready", os.Getpid())
	for s := range got {
		fmt.Println(unix.SignalName(s.(syscall.Signal)))
		if s == unix.SIGTERM {
			os.Exit(3)
		}
	}
}

// orphan leaves a grandchild behind, and ends well once somebody has reaped it.
func orphan() {
	out, err := exec.Command("sh", "-c", "true & echo $!").Output()
	if err != nil {
		panic(err)
	}
	tick := time.NewTicker(time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(out))); os.IsNotExist(err) {
			os.Exit(0)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			os.Exit(1)
		}
	}
}

type process struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, role string, set func(*exec.Cmd)) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, role)
	cmd.Env = append(os.Environ(), roleVariable+"=launcher")
	cmd.Stderr = os.Stderr
	var out io.Reader
	if set != nil {
		set(cmd)
	}
	if cmd.Stdout == nil {
		if out, err = cmd.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
	} else {
		out = strings.NewReader("")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &process{cmd, bufio.NewScanner(out)}
}

// line gives the next line that the program printed.
func (p *process) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("the program ended early: %v", p.lines.Err())
	}
	return strings.TrimSpace(p.lines.Text())
}

func TestTheExitCodeIsTheProgramsOwn(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		if got, err := launch.Run(launch.Program{Args: []string{"sh", "-c", script}}); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", script, got, err, want)
		}
	}
}

func TestAProgramThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, want := range map[string]int{
		"no-such-program-at-all":                       launch.ExitNotFound,
		filepath.Join(dir, "absent"):                   launch.ExitNotFound,
		write("plain", "text", 0o600):                  launch.ExitNotExec,
		write("script", "#!/no/such/interp\n", 0o700):  launch.ExitNotFound,
		write("garbage", "\x00\x01 no program", 0o700): launch.ExitNotExec,
		dir: launch.ExitNotExec,
	} {
		_, err := launch.Run(launch.Program{Args: []string{name}})
		var se *launch.StartError
		if !errors.As(err, &se) || se.ExitCode != want || !strings.HasPrefix(err.Error(), "start "+name+": ") {
			t.Errorf("%s: got %v, want exit code %d and the name", name, err, want)
		}
	}
	huge := "V=" + strings.Repeat("x", 128<<10)
	_, err := launch.Run(launch.Program{Args: []string{"sh"}, Env: []string{huge}})
	if err == nil || !strings.Contains(err.Error(), "128 KiB") || len(err.Error()) > 200 {
		t.Errorf("an environment that is too large: got %v, want the limit named", err)
	}
}

func TestSignalsReachTheProgramOnce(t *testing.T) {
	p := start(t, "signals", nil)
	p.line(t)
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT, unix.SIGTERM} {
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if got := p.line(t); got != unix.SignalName(s) {
			t.Errorf("sent %s, the program got %s", unix.SignalName(s), got)
		}
	}
	if p.lines.Scan() {
		t.Errorf("the program got %s as well", p.lines.Text())
	}
	var ee *exec.ExitError
	if err := p.Wait(); !errors.As(err, &ee) || ee.ExitCode() != 3 {
		t.Errorf("the launcher ended with %v, want the program's code 3", err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	if err := start(t, "orphan", nil).Wait(); err != nil {
		t.Errorf("a grandchild was left a zombie: %v", err)
	}
}

func TestTheProgramDiesWithTheLauncher(t *testing.T) {
	p := start(t, "signals", nil)
	p.line(t)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.lines.Scan() { // the pipe ends when the program, too, has let go of it
		t.Errorf("the program goes on: %s", p.lines.Text())
	}
}

func TestNohupIsInherited(t *testing.T) {
	p := start(t, "signals", func(c *exec.Cmd) {
		c.Args = []string{"sh", "-c", `trap "" HUP; exec "$0" signals`, c.Path}
		c.Path, _ = exec.LookPath("sh")
	})
	p.line(t)
	for _, s := range []syscall.Signal{unix.SIGHUP, unix.SIGTERM} {
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.line(t); got != "SIGTERM" {
		t.Errorf("the program got %s, want only SIGTERM", got)
	}
}

func TestTheTerminalBelongsToTheProgram(t *testing.T) {
	master, slave := openPTY(t)
	p := start(t, "signals", func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	slave.Close()
	lines := bufio.NewScanner(master)
	await := func(want string) string {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return lines.Text()
			}
		}
		t.Fatalf("the terminal ended before %q: %v", want, lines.Err())
		return ""
	}
	pid, err := strconv.Atoi(strings.Fields(await("ready"))[1])
	if err != nil {
		t.Fatal(err)
	}
	if group, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPGRP); group != pid || err != nil {
		t.Errorf("the terminal's foreground: group %d, %v; want the program's own, %d", group, err, pid)
	}
	keys := func(s string) {
		if _, err := master.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	keys("\x03")
	await("SIGINT")
	keys("\x1a")
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("after Ctrl-Z the launcher is %v, %v; want it stopped, so that a shell goes on", status, err)
	}
	if err := p.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await("SIGCONT")
	if err := p.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await("SIGTERM")
}

func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestStartedIsCalledWhileTheProgramRuns(t *testing.T) {
	// The program ends when what Started writes has come through.
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	calls := 0
	code, err := launch.Run(launch.Program{Args: []string{"sh", "-c", "read code <" + fifo + "; exit $code"}, Env: []string{"PATH=" + os.Getenv("PATH")}, Started: func() {
		calls++
		if err := os.WriteFile(fifo, []byte("9\n"), 0); err != nil {
			t.Error(err)
		}
	}})
	if err != nil || code != 9 || calls != 1 {
		t.Errorf("exit code %d, %v, Started called %d times; want 9, none, once", code, err, calls)
	}
	_, err = launch.Run(launch.Program{Args: []string{"no-such-program"}, Started: func() { t.Error("Started was called for a program that does not exist") }})
	if err == nil {
		t.Error("a program that does not exist started")
	}
}
