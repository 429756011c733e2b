//go:build unix

package child

import "syscall"

// Terminate asks the process and its group to end: SIGTERM.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Kill ends the process and its group: SIGKILL, which also ends a stopped one.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

// signal goes to the process by its descriptor where the system has one, and to its group only while the leader is not
// reaped, so that neither number can be anybody else's.
func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	_ = p.proc.Signal(s)
	_ = syscall.Kill(-p.pid, s)
}
