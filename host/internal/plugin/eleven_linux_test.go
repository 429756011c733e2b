package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// Eleven failures of go-plugin as its documentation has it. Each test first shows that the failure is there, with go-plugin's
// own client and mostly with a plugin that go-plugin serves, and then that it is not here.

// plain starts the naive plugin with go-plugin's client, changed a little. Its process ends with the test.
func plain(t *testing.T, change func(*goplugin.ClientConfig)) (*goplugin.Client, *dial.Store, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(naiveBinary)
	cfg := plainConfig(cmd)
	if change != nil {
		change(cfg)
	}
	c := goplugin.NewClient(cfg)
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // Client.Kill would wait for it
		c.Kill()
	})
	return c, plainStore(t, c), cmd
}

// plainStore opens a store of a plugin that has no stores.
func plainStore(t *testing.T, c *goplugin.Client) *dial.Store {
	t.Helper()
	protocol, err := c.Client()
	if err != nil {
		t.Fatalf("start of the control: %v", err)
	}
	conn, err := protocol.Dispense(dial.PluginSet)
	if err != nil {
		t.Fatalf("connection of the control: %v", err)
	}
	cc, ok := conn.(*grpc.ClientConn)
	if !ok {
		t.Fatalf("connection of the control: a %T", conn)
	}
	s, err := dial.New(cc).Open(t.Context(), "s~1", []byte("{}"))
	if err != nil {
		t.Fatalf("store of the control: %v", err)
	}
	return s
}

func read(ctx context.Context, s *dial.Store, name string) error {
	_, err := s.Get(ctx, sdk.GetRequest{Name: name})
	return err
}

// current is the running generation.
func current(t *testing.T, p *Process) *Generation {
	t.Helper()
	g, err := p.Current(t.Context())
	if err != nil {
		t.Fatalf("Current: %v", err)
	}
	return g
}

func signalled(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// freeze stops a process, and waits until it is.
func freeze(t *testing.T, pid int) {
	t.Helper()
	signalled(t, pid, syscall.SIGSTOP)
	eventually(t, "the process is stopped", func() bool { return frozen(pid) })
}

func TestEleven1AStopOfAFrozenPluginReturns(t *testing.T) {
	c, _, cmd := plain(t, nil)
	freeze(t, cmd.Process.Pid)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		c.Kill()
	}()

	f := newFixture(t, "")
	p := f.supervise()
	freeze(t, current(t, p).PID())
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	select {
	case <-killed:
		t.Error("the control's Kill has returned too: this test shows nothing")
	default:
	}
	_ = cmd.Process.Kill()
	<-killed
}

// begun waits until the plugin says that a call has begun.
func begun(t *testing.T, g *Generation) {
	t.Helper()
	eventually(t, "the call has begun", func() bool {
		return strings.Contains(strings.Join(g.tail.Lines(), "\n"), "a call has begun")
	})
}

func TestEleven2CallsInFlightOutliveTheReplacementOfTheirProcess(t *testing.T) {
	var stderr safeBuffer
	c, store, _ := plain(t, func(cfg *goplugin.ClientConfig) { cfg.SyncStderr = &stderr })
	answer := make(chan error, 1)
	go func() { answer <- read(t.Context(), store, "forever") }()
	eventually(t, "the control's call has begun", func() bool { return strings.Contains(stderr.String(), "a call has begun") })
	c.Kill()
	if err := <-answer; !dial.IsTransport(err) {
		t.Errorf("the control's call ended with %v: this test shows nothing", err)
	}

	f := newFixture(t, "")
	p := f.supervise()
	old := admitted(t, p, "a~1", &sdk.Reach{})
	go func() { answer <- get(t.Context(), old, "a~1", "late") }()
	begun(t, old)
	next := admitted(t, p, "b~1", &sdk.Reach{Files: []string{f.opts.Dir}})
	if next == old {
		t.Fatal("not replaced: this test shows nothing")
	}
	if err := <-answer; err != nil {
		t.Errorf("the call in flight failed: %v", err)
	}
	old.Dismiss("a~1")
	<-old.Done()
}

func TestEleven3ATerminationOfTheGroupLeavesPluginsRunning(t *testing.T) {
	c, _, cmd := plain(t, nil)
	signalled(t, cmd.Process.Pid, syscall.SIGTERM)
	eventually(t, "the control has ended", c.Exited)

	f, b := withExample(t)
	p := f.Supervise(b, Cell{})
	g := current(t, p)
	signalled(t, -g.PID(), syscall.SIGTERM)
	if _, err := g.Dial().Describe(t.Context()); err != nil {
		t.Errorf("a call after SIGTERM: %v", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if got := g.run.process().ExitText(); got != "exit status 0" {
		t.Errorf("ended with %q, want by its lifeline", got)
	}
}

func TestEleven4APluginDiesWithItsHost(t *testing.T) {
	control := killedHost(t, plainHostMode+"="+naiveBinary)
	dir, err := os.MkdirTemp("", "kw-host")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Link(fakeBinary, filepath.Join(dir, "fake")); err != nil {
		t.Fatal(err)
	}
	ours := killedHost(t, hostMode+"="+dir)
	eventually(t, "our plugin has ended", func() bool { return !alive(ours) })
	if !alive(control) {
		t.Error("the control's plugin has ended too: this test shows nothing")
	}
	signalled(t, control, syscall.SIGKILL)
}

// killedHost runs a host, kills it, and gives the process of its plugin.
func killedHost(t *testing.T, mode string) (pid int) {
	t.Helper()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), mode, "TMPDIR="+t.TempDir())
	out, err := host.StdoutPipe()
	if err == nil {
		err = host.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fscan(out, &pid)
	_ = host.Process.Kill()
	_, _ = host.Process.Wait()
	_ = out.Close()
	if err != nil {
		t.Fatalf("the host did not print its plugin's process: %v", err)
	}
	return pid
}

func TestEleven5AKilledPluginLeavesNoSocket(t *testing.T) {
	f := newFixture(t, "")
	tmp, err := os.MkdirTemp("", "kw")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	t.Setenv("TMPDIR", tmp)
	c, _, cmd := plain(t, nil)
	signalled(t, cmd.Process.Pid, syscall.SIGKILL)
	eventually(t, "the control has ended", c.Exited)
	if left, err := os.ReadDir(tmp); err != nil || len(left) == 0 {
		t.Errorf("the control has left %v, %v: this test shows nothing", left, err)
	}

	p := f.supervise()
	g := current(t, p)
	signalled(t, g.PID(), syscall.SIGKILL)
	<-g.gone
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if left, err := os.ReadDir(f.run); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v, want nothing", left, err)
	}
}

func checksum(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func TestEleven6ARestartVerifiesAsTheFirstStartDid(t *testing.T) {
	check := &goplugin.SecureConfig{Checksum: checksum(t, naiveBinary), Hash: sha256.New()}
	plain(t, func(cfg *goplugin.ClientConfig) { cfg.SecureConfig = check })
	cfg := plainConfig(exec.Command(naiveBinary))
	cfg.SecureConfig = check
	if _, err := goplugin.NewClient(cfg).Start(); !errors.Is(err, goplugin.ErrChecksumsDoNotMatch) {
		t.Errorf("the control's second start: %v: this test shows nothing", err)
	}

	f := newFixture(t, "")
	p := f.supervise()
	for range 3 {
		g := current(t, p)
		if digest := p.Status().Digest; digest != fmt.Sprintf("sha256:%x", checksum(t, f.plugin)) {
			t.Errorf("generation %d runs %s, not the file's bytes", g.Number(), digest)
		}
		signalled(t, g.PID(), syscall.SIGKILL)
		<-g.gone
	}
}

// swapping is a hash that replaces a file once it has been hashed.
type swapping struct {
	hash.Hash
	swap func()
}

func (s swapping) Sum(b []byte) []byte {
	s.swap()
	return s.Hash.Sum(b)
}

func TestEleven7TheBytesThatWereVerifiedAreThoseThatRun(t *testing.T) {
	dir := t.TempDir()
	path, marker := filepath.Join(dir, "naive"), filepath.Join(dir, "marker")
	if err := os.Link(naiveBinary, path); err != nil {
		t.Fatal(err)
	}
	cfg := plainConfig(exec.Command(path))
	cfg.SecureConfig = &goplugin.SecureConfig{Checksum: checksum(t, path), Hash: swapping{sha256.New(), func() {
		if err := replace(path, "#!/bin/sh\ntouch "+marker+"\n", 0o700); err != nil {
			t.Error(err)
		}
	}}}
	c := goplugin.NewClient(cfg)
	_, _ = c.Start()
	c.Kill()
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("the control did not run what replaced its plugin (%v): this test shows nothing", err)
	}

	f := newFixture(t, "")
	v, err := f.Verify(t.Context(), f.binary())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := replace(f.plugin, "#!/bin/sh\nexit 1\n", 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := startVerified(t.Context(), f.Catalog, v)
	if err != nil {
		t.Fatalf("start after the file was replaced: %v", err)
	}
	defer g.stop(t.Context(), f.stop)
	if err := get(t.Context(), g, "s~1", "value"); err != nil {
		t.Errorf("Get: %v", err)
	}
}

func TestEleven8WhatIsPrintedBeforeTheHandshakeDoesNoHarm(t *testing.T) {
	cmd := exec.Command(naiveBinary)
	cmd.Env = []string{"NAIVE=noise"}
	c := goplugin.NewClient(plainConfig(cmd))
	defer c.Kill()
	if _, err := c.Start(); err == nil || !strings.Contains(err.Error(), "hello from a dependency") {
		t.Errorf("the control's start: %v: this test shows nothing", err)
	}

	f := newFixture(t, "noise")
	if err := get(t.Context(), current(t, f.supervise()), "s~1", "value"); err != nil {
		t.Errorf("Get: %v", err)
	}
}

func TestEleven9ALongLineHoldsNoCallUp(t *testing.T) {
	_, store, _ := plain(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // its only outcome
	defer cancel()
	if err := read(ctx, store, "line"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the control's call: %v: this test shows nothing", err)
	}

	f := newFixture(t, "")
	if err := get(t.Context(), current(t, f.supervise()), "s~1", "line"); err != nil {
		t.Errorf("a call that prints 300 KiB: %v", err)
	}
}

func TestEleven10NothingOfTheHostsEnvironmentReachesAPlugin(t *testing.T) {
	t.Setenv("HOST_SECRET", "canary")
	_, _, cmd := plain(t, nil)
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid))
	if err != nil || !bytes.Contains(environ, []byte("canary")) {
		t.Errorf("the control does not have the host's environment (%v): this test shows nothing", err)
	}

	f := newFixture(t, "")
	g := current(t, f.supervise())
	if err := get(t.Context(), g, "s~2", "TZ"); err != nil {
		t.Errorf("the plugin does not tell its environment (%v): this test shows nothing", err)
	}
	if err := get(t.Context(), g, "s~3", "HOST_SECRET"); err == nil || !strings.Contains(err.Error(), "no such secret") {
		t.Errorf("a variable of the host's: %v, want that the plugin does not find it", err)
	}
}

// go-plugin connects anew to a process whose connection was lost, which fails with its own encryption. A plugin is none the
// worse for a lost connection when its process is replaced.
func TestEleven11ALostConnectionIsMended(t *testing.T) {
	c, _, _ := plain(t, func(cfg *goplugin.ClientConfig) { cfg.AutoMTLS = true })
	again := plainConfig(nil)
	again.AutoMTLS, again.Reattach = true, c.ReattachConfig()
	second := goplugin.NewClient(again)
	protocol, err := second.Client()
	if err == nil {
		err = protocol.Ping()
	}
	if err == nil {
		t.Error("the control has connected anew: this test shows nothing")
	}

	f := newFixture(t, "")
	p := f.supervise()
	g := current(t, p)
	_ = get(t.Context(), g, "s~1", "deaf")
	<-g.gone
	if err := get(t.Context(), current(t, p), "s~2", "value"); err != nil {
		t.Errorf("Get after the connection was lost: %v", err)
	}
}
