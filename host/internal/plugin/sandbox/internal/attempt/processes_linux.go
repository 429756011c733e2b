package attempt

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// harmless does nothing to a process that runs.
const harmless = unix.SIGCONT

func processes() []Attempt {
	return []Attempt{
		{Name: "ask whether the host lives", Host: true, Do: func(t Targets) error { return unix.Kill(t.Host, 0) }},
		{Name: "signal the host", Host: true, Do: func(t Targets) error { return unix.Kill(t.Host, harmless) }},
		{Name: "signal a thread of the host", Host: true, Do: func(t Targets) error { return unix.Tgkill(t.Host, t.Host, harmless) }},
		{Name: "signal the host by descriptor", Host: true, Do: func(t Targets) error {
			return withPidfd(t, func(fd int) error { return unix.PidfdSendSignal(fd, harmless, nil, 0) })
		}},
		{Name: "signal the host by the owner of a socket", Host: true, Do: signalByOwner},
		{Name: "trace the host", Do: trace},
		{Name: "read the host's memory by a file", Host: true, Do: readMemoryFile},
		{Name: "read the host's memory by a call", Host: true, Do: readMemoryCall},
		{Name: "take a descriptor of the host", Host: true, Do: func(t Targets) error {
			return withPidfd(t, func(fd int) error {
				taken, err := unix.PidfdGetfd(fd, 1, 0)
				if err == nil {
					err = unix.Close(taken)
				}
				return err
			})
		}},
		{Name: "compare descriptors with the host", Host: true, Do: func(t Targets) error {
			_, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(t.Host), kcmpVM, 0, 0, 0)
			return errorOf(errno)
		}},
		{Name: "change the host's limits", Host: true, Do: func(t Targets) error {
			var now unix.Rlimit
			if err := unix.Prlimit(t.Host, unix.RLIMIT_NOFILE, nil, &now); err != nil {
				return err
			}
			return unix.Prlimit(t.Host, unix.RLIMIT_NOFILE, &now, nil)
		}},
		{Name: "change the host's priority", Host: true, Do: func(t Targets) error {
			now, err := unix.Getpriority(unix.PRIO_PROCESS, t.Host)
			if err != nil {
				return err
			}
			return unix.Setpriority(unix.PRIO_PROCESS, t.Host, 20-now) // the call answers what is left of 20
		}},
		{Name: "change the host's processors", Host: true, Do: func(t Targets) error {
			var now unix.CPUSet
			if err := unix.SchedGetaffinity(t.Host, &now); err != nil {
				return err
			}
			return unix.SchedSetaffinity(t.Host, &now)
		}},
	}
}

// kcmpVM compares address spaces: KCMP_VM of the kernel.
const kcmpVM = 1

func errorOf(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func withPidfd(t Targets, do func(fd int) error) error {
	fd, err := unix.PidfdOpen(t.Host, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// signalByOwner makes the host the owner of a socket, whom the kernel signals when data comes.
func signalByOwner(t Targets) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	for _, step := range []struct{ cmd, arg int }{{unix.F_SETSIG, int(harmless)}, {unix.F_SETOWN, t.Host}, {unix.F_SETFL, unix.O_ASYNC}} {
		if _, err := unix.FcntlInt(uintptr(pair[0]), step.cmd, step.arg); err != nil {
			return err
		}
	}
	_, err = unix.Write(pair[1], []byte("x"))
	return err
}

// trace attaches without stopping, and is detached when this process ends.
func trace(t Targets) error {
	runtime.LockOSThread()
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(t.Host), 0, 0, 0, 0)
	return errorOf(errno)
}

// readable gives the start of some memory of the host's.
func readable(t Targets) (uintptr, error) {
	f, err := os.Open(proc(t, "maps"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err == nil && strings.HasPrefix(mode, "r") {
			return from, nil
		}
	}
	return 0, unix.ENXIO
}

func readMemoryFile(t Targets) error {
	at, err := readable(t)
	if err != nil {
		return err
	}
	f, err := os.Open(proc(t, "mem"))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(make([]byte, 8), int64(at))
	return err
}

// readMemoryCall aims anywhere when it cannot learn where memory is: the answer for a bad address is another than that for a
// call that is not allowed.
func readMemoryCall(t Targets) error {
	at, err := readable(t)
	if err != nil {
		at = 0x400000
	}
	var got [8]byte
	local := []unix.Iovec{{Base: &got[0], Len: 8}}
	_, err = unix.ProcessVMReadv(t.Host, local, []unix.RemoteIovec{{Base: at, Len: int(unsafe.Sizeof(got))}}, 0)
	return err
}

// BeTraced makes two threads of this process stop for the host that started it.
func BeTraced() {
	var ready sync.WaitGroup
	for range 2 {
		ready.Go(func() {
			runtime.LockOSThread() // a thread each
			_, _, _ = unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0)
			_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGURG)
		})
	}
	ready.Wait()
}
