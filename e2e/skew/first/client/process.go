package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// process is a running plugin.
type process struct {
	cmd      *exec.Cmd
	lifeline io.Closer
	dir      string
	socket   string
	exited   chan struct{}
	err      error // how it ended, once it has
}

// start starts a plugin and reads its handshake, which must be the first line that it prints.
func start(ctx context.Context, plugin string) (*process, error) {
	dir, err := os.MkdirTemp("", "skew")
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, plugin), dir: dir, exited: make(chan struct{})}
	p.cmd.Env = []string{"KEYWAY_PLUGIN=keyway.plugin.v1", "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + dir}
	p.cmd.Stderr = os.Stderr
	p.lifeline, err = p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	field := strings.Split(strings.TrimSpace(line), "|")
	if len(field) < 5 || strings.Join(field[:3], "|") != "1|1|unix" || field[4] != "grpc" || filepath.Dir(field[3]) != dir {
		p.stop()
		return nil, fmt.Errorf("handshake %q (read: %v)", line, err) //nolint:errorlint // often nil
	}
	p.socket = field[3]
	return p, nil
}

// end closes the lifeline and waits for the plugin to follow.
func (p *process) end(ctx context.Context) error {
	_ = p.lifeline.Close()
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("the plugin outlives its lifeline: %w", ctx.Err())
	}
}

// stop frees everything, whatever has become of the plugin.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	_ = os.RemoveAll(p.dir)
}

// turnsStrangersAway lets another process call the plugin.
func (p *process) turnsStrangersAway(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, self, "call", p.socket).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return errors.New("stranger: the plugin answered a process that is not its host")
	case !errors.As(err, &exit) || !strings.Contains(string(out), "code = Unavailable"):
		return fmt.Errorf("stranger: %w: %s", err, out)
	}
	return nil
}
