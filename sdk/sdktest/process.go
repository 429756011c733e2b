package sdktest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// process is a plugin's process as go-plugin's client wants it. It is stopped by its stdin, which ends when we close it and
// also when we die.
type process struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	out     io.ReadCloser
	err     io.ReadCloser
	stderr  tail
	started bool
	exited  chan struct{}
	grace   time.Duration // how long it may take to end once its stdin has
}

func newProcess(cmd *exec.Cmd) *process {
	return &process{cmd: cmd, exited: make(chan struct{}), grace: exitTimeout}
}

// prepare sets up the pipes and the environment.
func (p *process) prepare(env []string) error {
	p.cmd.Env = env
	for _, name := range []string{"PATH", "SYSTEMROOT"} { // the second is Windows', without which no socket opens
		if v, ok := os.LookupEnv(name); ok {
			p.cmd.Env = append(p.cmd.Env, name+"="+v)
		}
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	p.stdin, p.out = stdin, stdout
	p.err = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(stderr, &p.stderr), stderr}
	return nil
}

// stop ends the process and waits for it: by its stdin, and if that does not help by force, which fails the test.
func (p *process) stop(t testing.TB) {
	if !p.started {
		return
	}
	_ = p.stdin.Close()
	timer := time.NewTimer(p.grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		t.Errorf("%s still ran %v after its stdin was closed", p.cmd.Path, p.grace)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

func (p *process) Start(context.Context) error {
	err := p.cmd.Start()
	p.started = err == nil
	return err
}

// Wait is called once, by go-plugin's client, after it has read stderr to its end.
func (p *process) Wait(context.Context) error {
	defer close(p.exited)
	return p.cmd.Wait()
}

func (p *process) Kill(context.Context) error { return p.cmd.Process.Kill() }

func (p *process) Diagnose(context.Context) string { return "" }

func (p *process) Stdout() io.ReadCloser { return p.out }

func (p *process) Stderr() io.ReadCloser { return p.err }

func (p *process) Name() string { return p.cmd.Path }

func (p *process) ID() string {
	if !p.started {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	bytes []byte
	lost  int
}

const tailSize = 16 << 10 // bytes

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes = append(w.bytes, b...)
	if over := len(w.bytes) - tailSize; over > 0 {
		w.bytes, w.lost = append([]byte(nil), w.bytes[over:]...), w.lost+over
	}
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost > 0 {
		return fmt.Sprintf("(%d bytes before)\n%s", w.lost, w.bytes)
	}
	return string(w.bytes)
}
