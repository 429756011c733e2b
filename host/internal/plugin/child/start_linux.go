package child

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limits of every child. A core file would hold secrets; the descriptors cover 512 open stores with a connection or two
// each, and bound a leak.
const (
	maxCore  = 0
	maxFiles = 4096
)

// start forks from a thread of its own, which then waits for the child. The thread outlives the child because the death
// signal is tied to it, and Go destroys it afterwards because the goroutine never unlocks it. So whatever restricts this
// thread before the fork restricts the child, and nothing else in the host.
func start(s Spec) (*Process, error) {
	settlePidfd()
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	onOwnThread(func() {
		defer close(p.done)
		proc, err := os.StartProcess(s.Path, s.Args, &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: s.Files,
			Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}})
		if err != nil {
			started <- err
			return
		}
		p.proc, p.pid = proc, proc.Pid
		limit(proc.Pid)
		started <- nil
		endGroup(proc.Pid)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.state, _ = proc.Wait()
		p.reaped = true
	})
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// endGroup waits for the child without reaping it and then kills what it left in its group: the group's number cannot be
// anybody else's before the child is reaped.
func endGroup(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			_ = unix.Kill(-pid, unix.SIGKILL)
		}
		return
	}
}

// limit bounds a child that has just started; it runs before the child can be reaped. A child that cannot be limited has
// already ended, or runs under limits that are tighter.
func limit(pid int) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{Cur: maxCore, Max: maxCore}, nil)
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err == nil && now.Max > maxFiles {
		_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: maxFiles, Max: maxFiles}, nil)
	}
}

// settlePidfd lets os find out about pidfds on a free thread. It asks once a process, at the first start; on a restricted
// thread the answer would be no, for the whole host.
var settlePidfd = sync.OnceFunc(func() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Release()
	}
})

// onOwnThread runs f on a thread that Go destroys when f returns. Never the main thread: that one Go cannot destroy, and
// it would keep for ever what f did to it.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return // still locked: the thread ends here
		}
		locked := make(chan struct{})
		go func() { // cannot be on the main thread, which we hold
			runtime.LockOSThread()
			close(locked)
			f()
		}()
		<-locked
		runtime.UnlockOSThread()
	}()
}
