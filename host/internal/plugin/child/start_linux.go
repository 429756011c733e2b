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

// maxFiles covers 512 open stores with a connection or two each, and bounds a leak.
const maxFiles = 4096

// start forks from a thread of its own, which then waits for the child. The thread outlives the child because the death
// signal is tied to it, and Go destroys it afterwards because the goroutine never unlocks it. So whatever restricts this
// thread before the fork restricts the child, and nothing else in the host. The thread may then neither signal nor limit
// anybody: that is for others to do.
func start(s Spec) (*Process, error) {
	settlePidfd()
	p := &Process{done: make(chan struct{})}
	started := make(chan error, 1)
	last := lastInherited() // asked here: the thread may not be allowed to
	onOwnThread(func() {
		defer close(p.done)
		proc, err := s.fork(last)
		if err != nil {
			started <- err
			return
		}
		p.proc, p.pid = proc, proc.Pid
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		s.Limits.apply(p.pid)
	}
	return p, nil
}

// fork starts the process on the calling thread, which it restricts first. Descriptors up to last that are not the child's
// are closed in it.
func (s Spec) fork(last int) (*os.Process, error) {
	if err := s.Restrict(); err != nil {
		return nil, err
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
	return os.StartProcess(path, s.Args, &os.ProcAttr{Dir: s.Dir, Env: s.Env, Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}})
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

// awaitEnd waits for the child without reaping it and then has what it left in its group killed, by a thread that may: the
// group's number cannot be anybody else's before the child is reaped.
func awaitEnd(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				_ = unix.Kill(-pid, unix.SIGKILL)
			}()
			<-killed
		}
		return
	}
}

// apply bounds a child that has just started and is not reaped. A child that cannot be limited has already ended, or runs
// under limits that are tighter.
func (l Limits) apply(pid int) {
	lower(pid, unix.RLIMIT_CORE, l.Core)
	files := l.Files
	if files == 0 {
		files = maxFiles
	}
	lower(pid, unix.RLIMIT_NOFILE, files)
	if l.Data > 0 {
		lower(pid, unix.RLIMIT_DATA, l.Data)
	}
	if l.FileSize != nil {
		lower(pid, unix.RLIMIT_FSIZE, *l.FileSize)
	}
}

func lower(pid, resource int, bound uint64) {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &now); err == nil && now.Max > bound {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: bound, Max: bound}, nil)
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
