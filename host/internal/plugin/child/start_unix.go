//go:build unix && !linux

package child

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// start needs no thread of its own here: there is no death signal. The child's end of standard input is its lifeline.
func start(s Spec) (*Process, error) {
	if s.Image != nil {
		return nil, fmt.Errorf("%s: execute an open file: %w", s.Path, errors.ErrUnsupported)
	}
	if err := s.Restrict(); err != nil {
		return nil, err
	}
	proc, err := os.StartProcess(s.Path, s.Args, &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: s.Files,
		Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return nil, err
	}
	p := &Process{pid: proc.Pid, proc: proc, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.state, _ = proc.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reaped = true
	}()
	return p, nil
}
