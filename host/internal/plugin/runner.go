package plugin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/keyway-dev/keyway/host/internal/plugin/child"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
)

// runner is one process of a plugin and its pipes, in the form go-plugin wants. go-plugin sees of it the handshake line and
// the exit; output, signals and the end of the process are the runner's own.
type runner struct {
	binary  Binary
	env     []string
	sockets string // the directory its socket must be in
	image   *image.Image
	profile *sandbox.Profile
	dial    *os.File // the process's end of its dial socket; nil: none, or given away
	log     *slog.Logger
	tail    *output.Tail

	line     *io.PipeReader // the handshake, then the end
	deliver  *io.PipeWriter
	outs     pipes
	readers  sync.WaitGroup
	lifeline *os.File // its end means to the plugin that the host is gone

	mu      sync.Mutex
	proc    *child.Process // nil before the start and when it failed
	aborted bool           // kill came before the start
	cause   error          // the first reason to refuse the plugin
	network string         // where it listens
	address string
}

func newRunner(b Binary, log *slog.Logger, tail *output.Tail) *runner {
	r := &runner{binary: b, log: log, tail: tail}
	r.line, r.deliver = io.Pipe()
	return r
}

// Start starts the process, once.
func (r *runner) Start(context.Context) error {
	stdin, err := openPipes(1)
	if err != nil {
		return err
	}
	outs, err := openPipes(2)
	if err != nil {
		stdin.close()
		return err
	}
	files := []*os.File{stdin[0].read, outs[0].write, outs[1].write}
	if r.dial != nil {
		files = append(files, r.dial) // descriptor 3
	}
	proc, err := child.Start(child.Spec{Path: r.image.Path(), Image: r.image.File(), Args: []string{r.binary.Path}, Env: r.env, Dir: rootDir,
		Files: files, Restrict: r.profile.Restrict, Limits: r.profile.Limits()})
	r.closeDial()
	_ = stdin[0].read.Close()
	outs.closeWriters()
	if err != nil {
		_ = stdin[0].write.Close()
		outs.closeReaders()
		return r.refuse(startable(err))
	}
	r.outs, r.lifeline = outs, stdin[0].write
	r.readers.Go(r.pumpStdout)
	r.readers.Go(r.pumpStderr)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proc = proc
	if r.aborted {
		proc.Kill()
	}
	return nil
}

// closeDial closes the host's copy of the process's end of the dial socket.
func (r *runner) closeDial() {
	if r.dial != nil {
		_ = r.dial.Close()
		r.dial = nil
	}
}

// pumpStdout reads what the process prints to the end. Before the handshake lines are logged and passed over.
func (r *runner) pumpStdout() {
	log := output.NewLog(r.log.With("stream", "stdout"), r.tail)
	found := false
	lines := output.NewLines(func(line string, dropped int) {
		if found || !isHandshake(line) {
			log.Line(line, dropped)
			return
		}
		found = true
		if err := checkHandshake(line); err != nil {
			_ = r.refuse(err)
		} else {
			_, _ = io.WriteString(r.deliver, strings.TrimSpace(line)+"\n")
		}
		_ = r.deliver.Close()
	})
	_, _ = io.Copy(lines, r.outs[0].read)
	_ = lines.Close()
	_ = r.deliver.Close()
	log.Close()
}

func (r *runner) pumpStderr() {
	log := output.NewLog(r.log, r.tail)
	lines := output.NewLines(log.Line)
	_, _ = io.Copy(lines, r.outs[1].read)
	_ = lines.Close()
	log.Close()
}

// refuse keeps the first reason to refuse the plugin and returns err.
func (r *runner) refuse(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = err
	}
	return err
}

// refusal is the first reason to refuse the plugin.
func (r *runner) refusal() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

// process is nil before the start and when it failed.
func (r *runner) process() *child.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc
}

// kill ends the process, or its start.
func (r *runner) kill() {
	r.mu.Lock()
	r.aborted = true
	proc := r.proc
	r.mu.Unlock()
	if proc != nil {
		proc.Kill()
	}
}

// PluginToHost is asked where to dial a plugin that says where it is.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	if err := checkAddress(network, address, r.sockets, unixSockets); err != nil {
		return "", "", r.refuse(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.network, r.address = network, address
	return network, address, nil
}

// where gives the address that PluginToHost accepted.
func (r *runner) where() (network, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.network, r.address
}

// HostToPlugin is never needed: plugins do not dial the host.
func (r *runner) HostToPlugin(string, string) (string, string, error) {
	return "", "", errors.ErrUnsupported
}

// Stdout gives the handshake line.
func (r *runner) Stdout() io.ReadCloser { return r.line }

// Stderr gives nothing: the runner reads it.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Wait waits for the process to end.
func (r *runner) Wait(context.Context) error {
	if proc := r.process(); proc != nil {
		<-proc.Done()
	}
	return nil
}

// Kill ends the process at once.
func (r *runner) Kill(context.Context) error {
	r.kill()
	return nil
}

// Diagnose adds nothing: the reason is in refusal and the tail.
func (r *runner) Diagnose(context.Context) string { return "" }

// Name is the path of the binary.
func (r *runner) Name() string { return r.binary.Path }

// ID is the process's number, empty before the start.
func (r *runner) ID() string {
	if proc := r.process(); proc != nil {
		return strconv.Itoa(proc.PID())
	}
	return ""
}
