package cli_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// service is a keyway serve in a folder of its own, with the plugin bank.
type service struct {
	dir, socket string
	cmd         *exec.Cmd
	program     string
	stderr      *said
	ended       chan struct{}
	err         error // once it has ended
}

// said is what a process printed so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns when text has been printed.
func (s *said) await(t *testing.T, text string) {
	t.Helper()
	s.awaitTimes(t, text, 1)
}

const bankConfig = `version: 1
plugins: {dir: plugins}
listeners: [{unix: s}]
stores:
  bank: {provider: bank, required: true, cache: {ttl: 0s}, settings: {address: up, token: secret://env/TOKEN}}
`

// start starts a service. change, which may be nil, comes before.
func start(t *testing.T, change func(*service)) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw-serve") // short: a socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, d := range []string{dir, filepath.Join(dir, "plugins")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil { //nolint:gosec // other users of the machine run it
			t.Fatal(err)
		}
	}
	s := &service{dir: dir, socket: filepath.Join(dir, "s"), program: filepath.Join(dir, "keyway"), stderr: &said{}, ended: make(chan struct{})}
	install(t, sdktest.Build(t, "github.com/keyway-dev/keyway/host/cmd/keyway"), s.program)
	install(t, sdktest.Build(t, "./testdata/bank"), filepath.Join(dir, "plugins", "bank"))
	if err := os.WriteFile(filepath.Join(dir, "keyway.yaml"), []byte(bankConfig), 0o644); err != nil { //nolint:gosec // it holds no secret
		t.Fatal(err)
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), s.program, "--log-level", "debug", "serve")
	s.cmd.Dir, s.cmd.Stderr = dir, s.stderr
	s.cmd.Env = []string{"TOKEN=canary-token", "TMPDIR=" + dir}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if change != nil {
		change(s)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		if strings.Contains(s.stderr.String(), "canary") {
			t.Error("a value is in the log")
		}
	})
	if err := awaitReady(t.Context(), s.socket); err != nil {
		t.Fatalf("%v\n%s", err, s.stderr)
	}
	return s
}

// get asks the service and gives the status and the body.
func (s *service) get(ctx context.Context, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://keyway"+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Accept", "application/octet-stream")
	res, err := through(s.socket).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// stops holds the service to end by itself, with the exit code 0.
func (s *service) stops(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
		if s.err != nil {
			t.Errorf("keyway serve ended with %v\n%s", s.err, s.stderr)
		}
	case <-time.After(waitTime):
		t.Fatalf("keyway serve does not end:\n%s", s.stderr)
	}
}

// kill sends a signal to the service's whole group: its plugins get it too, as from a terminal or a service manager.
func (s *service) kill(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-s.cmd.Process.Pid, sig); err != nil {
		t.Fatal(err)
	}
}

func TestACallThatRunsWhenTheServiceIsEndedFinishes(t *testing.T) {
	s := start(t, nil)
	type answer struct {
		status int
		body   string
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		status, body, err := s.get(t.Context(), "/v1/stores/bank/secret?name=slow-1")
		answered <- answer{status, body, err}
	}()
	s.stderr.await(t, "a slow read began")
	s.kill(t, syscall.SIGTERM)
	got := <-answered
	if got.err != nil || got.status != http.StatusOK || got.body != "canary-slow-1" {
		t.Errorf("status %d with %d bytes, %v; want the value", got.status, len(got.body), got.err)
	}
	s.stops(t)
	if _, err := os.Lstat(s.socket); err == nil {
		t.Error("the socket is left over")
	}
}

func TestTheServiceRunsAsAnyUserAndIsNobodyElses(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can be another user
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	s := start(t, func(s *service) {
		if err := os.Chown(s.dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		s.cmd.SysProcAttr.Credential = nobody
	})
	if status, body, err := s.get(t.Context(), "/v1/stores/bank/secret?name=a"); err != nil || status != http.StatusOK || body != "canary-a" {
		t.Errorf("root asks: status %d with %d bytes, %v; want the value", status, len(body), err)
	}
	for _, x := range []struct {
		who  *syscall.Credential
		code int
		says string
	}{
		{nobody, 0, "ready"},
		{&syscall.Credential{Uid: 65533, Gid: 65533}, 4, "this user may not connect"},
	} {
		cmd := exec.CommandContext(t.Context(), s.program, "status")
		cmd.Dir, cmd.Env = s.dir, []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: x.who}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != x.code || !strings.Contains(string(out), x.says) {
			t.Errorf("user %d asks for the status: exit code %d, want %d and %q:\n%s", x.who.Uid, code, x.code, x.says, out)
		}
	}
	s.kill(t, syscall.SIGTERM)
	s.stops(t)
}

func TestTheServicesMemoryIsItsOwn(t *testing.T) {
	s := start(t, nil)
	limits, err := os.ReadFile(filepath.Join("/proc", pid(s), "limits"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			t.Errorf("%s; want no core file", strings.TrimSpace(line))
		}
	}
	if status, err := os.ReadFile(filepath.Join("/proc", pid(s), "status")); err != nil || !strings.Contains(string(status), "Umask:\t0077") {
		t.Errorf("the umask is not 0077: %v", err)
	}
}

func pid(s *service) string { return strconv.Itoa(s.cmd.Process.Pid) }

func TestASignalReloadsAndABrokenFileChangesNothing(t *testing.T) {
	s := start(t, nil)
	file := filepath.Join(s.dir, "keyway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.kill(t, syscall.SIGHUP)
	}
	write(bankConfig + "store: {}\nreference: {}\n")
	s.stderr.await(t, "reload: nothing was changed")
	for _, want := range []string{"keyway.yaml:6:1 store: unknown key", "keyway.yaml:7:1 reference: unknown key"} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("the problems are not told: want %q in\n%s", want, s.stderr)
		}
	}
	if status, body, err := s.get(t.Context(), "/v1/stores/bank/secret?name=a"); err != nil || status != http.StatusOK || body != "canary-a" {
		t.Errorf("after the broken file: status %d with %d bytes, %v; want the value", status, len(body), err)
	}
	write(bankConfig)
	s.stderr.await(t, "reload: done")
	s.kill(t, syscall.SIGTERM)
	s.stops(t)
}

// manager stands in for systemd: it hears what services tell it.
type manager struct {
	path string
	told chan string
}

func listenAsManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw-notify")
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{filepath.Join(dir, "n"), make(chan string, 1024)}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			m.told <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-ended
		_ = os.RemoveAll(dir)
	})
	return m
}

// hears returns when a service told something with this beginning.
func (m *manager) hears(t *testing.T, beginning string) string {
	t.Helper()
	late := time.After(waitTime)
	for {
		select {
		case text := <-m.told:
			if strings.HasPrefix(text, beginning) {
				return text
			}
		case <-late:
			t.Fatalf("the service manager did not hear %q", beginning)
		}
	}
}

func TestTheServiceManagerIsToldHowItIs(t *testing.T) {
	m := listenAsManager(t)
	s := start(t, func(s *service) { s.cmd.Env = append(s.cmd.Env, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=200000") })
	m.hears(t, "READY=1")
	m.hears(t, "WATCHDOG=1")
	m.hears(t, "WATCHDOG=1")
	s.kill(t, syscall.SIGHUP)
	if got := m.hears(t, "RELOADING=1"); !strings.Contains(got, "\nMONOTONIC_USEC=") {
		t.Errorf("%q; want it with the time", got)
	}
	m.hears(t, "READY=1")
	s.kill(t, syscall.SIGTERM)
	m.hears(t, "STOPPING=1")
	s.stops(t)
}

func TestTheServiceManagersSocketIsTaken(t *testing.T) {
	var given *os.File
	s := start(t, func(s *service) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		if given, err = l.File(); err != nil {
			t.Fatal(err)
		}
		// Only the process itself knows the id that the variable must hold.
		s.cmd.Path, s.cmd.Args = "/bin/sh", []string{"sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec " + s.program + " serve"}
		s.cmd.ExtraFiles = []*os.File{given}
	})
	_ = given.Close()
	if status, body, err := s.get(t.Context(), "/v1/stores/bank/secret?name=a"); err != nil || status != http.StatusOK || body != "canary-a" {
		t.Errorf("status %d with %d bytes, %v; want the value", status, len(body), err)
	}
	s.kill(t, syscall.SIGTERM)
	s.stops(t)
	if _, err := os.Lstat(s.socket); err != nil {
		t.Errorf("the service manager's socket is gone: %v", err)
	}
}
