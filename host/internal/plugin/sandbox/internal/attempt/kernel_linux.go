package attempt

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func kernel() []Attempt {
	return []Attempt{
		{Name: "make a namespace", Root: true, Do: func(Targets) error {
			runtime.LockOSThread()
			return unix.Unshare(unix.CLONE_NEWUTS)
		}},
		{Name: "enter a namespace", Root: true, Do: func(t Targets) error {
			runtime.LockOSThread()
			return withPidfd(t, func(fd int) error { return unix.Setns(fd, unix.CLONE_NEWUTS) })
		}},
		{Name: "mount a file system", Root: true, Do: func(t Targets) error {
			if err := unix.Mount("none", t.Own, "tmpfs", 0, ""); err != nil {
				return err
			}
			return unix.Unmount(t.Own, 0)
		}},
		{Name: "change its root", Root: true, Do: func(t Targets) error { return unix.Chroot(t.Own) }},
		{Name: "become another user", Root: true, Do: func(Targets) error {
			runtime.LockOSThread()
			_, _, errno := unix.RawSyscall(unix.SYS_SETUID, 65533, 0, 0)
			return errorOf(errno)
		}},
		{Name: "name the machine", Root: true, Host: true, Do: func(Targets) error {
			name, err := os.Hostname()
			if err != nil {
				return err
			}
			return unix.Sethostname([]byte(name))
		}},
		{Name: "ask for the kernel's log", Root: true, Host: true, Do: func(Targets) error {
			_, err := unix.Klogctl(unix.SYSLOG_ACTION_SIZE_BUFFER, nil)
			return err
		}},
		{Name: "type into a terminal", Root: true, Do: func(Targets) error {
			key := byte('x')
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&key)))
			return errorOf(errno)
		}},
		{Name: "find a keyring", Host: true, Do: func(Targets) error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
			return err
		}},
		{Name: "load a kernel's program", Root: true, Host: true, Do: func(Targets) error { return descriptor(unix.SYS_BPF, bpfMapCreate, bpfArray()) }},
		{Name: "count events", Host: true, Do: events},
		{Name: "handle page faults", Host: true, Do: func(Targets) error { return descriptor(unix.SYS_USERFAULTFD, userModeOnly, nil) }},
		{Name: "make a ring of calls", Host: true, Do: func(Targets) error { return descriptor(unix.SYS_IO_URING_SETUP, 1, make([]byte, 120)) }},
		{Name: "share memory", Host: true, Do: func(Targets) error {
			id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600)
			if err == nil {
				_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			}
			return err
		}},
		{Name: "ask for its personality", Host: true, Do: func(Targets) error {
			_, _, errno := unix.Syscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
			return errorOf(errno)
		}},
	}
}

// Of the kernel's headers, where golang.org/x/sys has no name for them.
const (
	bpfMapCreate = 0 // BPF_MAP_CREATE
	userModeOnly = 1 // UFFD_USER_MODE_ONLY
)

// bpfArray describes an array of one entry of 4 bytes: type, key size, value size, entries.
func bpfArray() []byte {
	attr := make([]byte, 16)
	for i, v := range []byte{2, 4, 4, 1} {
		attr[4*i] = v
	}
	return attr
}

// descriptor makes a call that answers a descriptor: with one number, then the address of what it points to and its size.
func descriptor(call, number uintptr, points []byte) error {
	fd, _, errno := unix.Syscall(call, number, uintptr(unsafe.Pointer(unsafe.SliceData(points))), uintptr(len(points)))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// events counts a software event of this process alone, which the kernel lets everybody do by default.
func events(Targets) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK,
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
