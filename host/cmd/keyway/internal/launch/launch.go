// Package launch starts the program that keyway run was given, and stands in for it until it ends: it hands on signals and
// the terminal, reaps orphans where it is process 1, and ends with the program's own exit code.
package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"
)

// Exit codes of a program that could not be started, as env(1) and container runtimes have them.
const (
	ExitFailed   = 125 // the launcher itself failed
	ExitNotExec  = 126 // the program cannot be executed
	ExitNotFound = 127 // there is no such program
)

// Program is what to start.
type Program struct {
	Args []string // Args[0] is looked up in PATH unless it has a slash
	Env  []string // "NAME=value"; its whole environment
	// Started, if set, is called once when the program runs. What else of this process has children must have ended them when
	// it returns; it is not called if the program does not start.
	Started func()
}

// StartError is a program that did not start.
type StartError struct {
	ExitCode int // ExitFailed, ExitNotExec or ExitNotFound
	Err      error
}

// Error names the program and the reason.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *StartError) Unwrap() error { return e.Err }

// Run starts the program and waits for it. Its exit code comes back, 128 and the signal's number if a signal ended it. The
// error is a *StartError. The program gets our standard streams and every signal that we get and can hand on.
//
// Run waits for any child of the process, so nothing else in it may have children once Started has returned; what is left of
// them when the program ends stays. It may run once at a time.
func Run(p Program) (int, error) {
	path, err := exec.LookPath(p.Args[0])
	if err != nil {
		return 0, startError(p.Args[0], err)
	}
	code, err := run(path, p)
	if err != nil {
		return 0, startError(p.Args[0], err)
	}
	return code, nil
}

func startError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	var ee *exec.Error
	if errors.As(err, &ee) {
		err = ee.Err
	}
	code, hint := ExitNotExec, ""
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		code = ExitNotFound
	case errors.Is(err, syscall.E2BIG):
		code, hint = ExitFailed, "; its environment is too large: one value may have 128 KiB, all of them about 2 MiB"
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		code = ExitFailed
	}
	return &StartError{ExitCode: code, Err: fmt.Errorf("start %s: %w%s", name, err, hint)}
}
