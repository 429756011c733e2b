package child

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// start forks from a thread of its own, which then waits for the child. The thread outlives the child because the death
// signal is tied to it, and Go destroys it afterwards because the goroutine never unlocks it. So whatever restricts this
// thread before the fork restricts the child, and nothing else in the host. The thread may then neither signal nor limit
// anybody: a goroutine elsewhere does that for it.
func start(s Spec) (*Process, error) {
	settlePidfd()
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	last := lastInherited() // asked here: the thread may not be allowed to
	onOwnThread(func() {
		defer close(p.done)
		proc, held, err := s.fork(last)
		if err != nil {
			started <- err
			return
		}
		p.proc, p.pid = proc, proc.Pid
		elsewhere(func() { s.Limits.apply(proc.Pid) })
		if held {
			release(proc.Pid)
		}
		started <- nil
		awaitEnd(proc.Pid)
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

// elsewhere runs f on a thread that is not the caller's, which is locked.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// fork starts the process on the calling thread, which it restricts first. Descriptors up to last that are not the child's
// are closed in it. The child is held before its first instruction, if the system allows, until it is released: so it does
// nothing before its limits are set.
func (s Spec) fork(last int) (proc *os.Process, held bool, err error) {
	if err := s.Restrict(); err != nil {
		return nil, false, err
	}
	path, files := s.Path, slices.Clone(s.Files)
	if s.Image != nil {
		// Its number in the child: Go moves descriptors about while it forks, and ours could be overwritten by then.
		path = "/proc/self/fd/" + strconv.Itoa(len(files))
		files = append(files, s.Image)
	}
	for len(files) <= last {
		files = append(files, nil)
	}
	attr := &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Ptrace: true}}
	if proc, err = os.StartProcess(path, s.Args, attr); !errors.Is(err, unix.EPERM) {
		return proc, err == nil, err
	}
	// Nobody may be traced here, or we are being traced ourselves.
	attr.Sys.Ptrace = false
	proc, err = os.StartProcess(path, s.Args, attr)
	return proc, false, err
}

// lastInherited gives the highest descriptor that a child would have without being given it: what this process itself got
// from whoever started it, such as the sockets of a service manager, stays open in its children. -1: none.
func lastInherited() int {
	last := -1
	all, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range all {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = max(last, fd)
		}
	}
	return last
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
