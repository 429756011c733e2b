// Package child starts operating system processes that do not outlive their parent: each has its own process group and,
// where the system allows, dies with the host. It knows nothing of plugins.
package child

import (
	"os"
	"sync"
	"time"
)

// Spec says what to start.
type Spec struct {
	Path  string
	Args  []string   // argv, Args[0] included
	Env   []string   // the whole environment; nil is an empty one
	Dir   string     // working directory
	Files []*os.File // descriptors 0, 1, 2, …; the caller closes its ends after Start

	// Image, when set, is what is executed, whatever has become of Path since it was opened. The child has it as its last
	// descriptor. Linux only.
	Image *os.File
	// Restrict, when set, runs on the thread that forks the child and is destroyed after it: what it forbids this thread it
	// forbids the child, and nobody else. Its error ends the start.
	Restrict func() error
	Limits   Limits
}

// Limits bound what the kernel gives a child, from its first instruction on; where nobody may be traced, a moment later. They
// only ever lower what it would have. Elsewhere than on Linux there are none.
type Limits struct {
	Data     uint64  // bytes of private memory; 0: no bound
	Files    uint64  // open descriptors; 0: 4096
	FileSize *uint64 // bytes of the largest file it may write; nil: no bound
	Core     uint64  // bytes of a core file, which holds whatever secrets the child held
}

// Process is a started process. Its exit is seen as it happens, without polling.
type Process struct {
	pid   int
	proc  *os.Process
	done  chan struct{}
	state *os.ProcessState

	mu     sync.Mutex // held while the child is signalled or reaped, so that no signal meets a number that was reused
	reaped bool
}

// Start starts a process. The error is that of os.StartProcess, a *fs.PathError that tells a missing file from one that
// cannot be executed, or that of Restrict.
func Start(s Spec) (*Process, error) {
	if s.Env == nil {
		s.Env = []string{}
	}
	if s.Restrict == nil {
		s.Restrict = func() error { return nil }
	}
	return start(s)
}

// PID is the process's number. It may belong to somebody else once Done is closed.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitText tells how the process ended, "exit status 2" or "signal: killed"; empty before Done.
func (p *Process) ExitText() string {
	select {
	case <-p.done:
		if p.state != nil {
			return p.state.String()
		}
		return "ended"
	default:
		return ""
	}
}

// Within reports whether the process ends within d.
func (p *Process) Within(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// ExitCode is the code the process ended with, -1 when a signal ended it or before Done.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.state.ExitCode() // of a nil state too, when somebody else reaped it
	default:
		return -1
	}
}
