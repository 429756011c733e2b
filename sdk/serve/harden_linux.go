//go:build linux && (amd64 || arm64)

package serve

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/internal/seccomp"
)

// harden names the process after its provider, which a program that was executed by descriptor is not, and keeps its memory
// from other processes of the same user and from core files.
func harden(name string) error {
	title, err := unix.BytePtrFromString(name)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(title)), 0, 0, 0) // the kernel keeps 15 bytes
	}
	if err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// settle takes from the process what only its start needed, now that its listener exists: it starts no program or process any
// more and listens nowhere else. A process whose host dials for it opens no sockets either. That hinders whoever takes over
// an honest plugin; what a dishonest one may do is for the host to say.
func settle(brokered bool) error {
	rules := seccomp.Deny(unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_BIND, unix.SYS_LISTEN)
	rules = append(rules, seccomp.Deny(forks...)...)
	rules = append(rules, seccomp.NeedBit(unix.SYS_CLONE, 0, unix.CLONE_THREAD))
	rules = append(rules, seccomp.Absent(unix.SYS_CLONE3)...) // its flags are in memory, out of sight
	if brokered {
		rules = append(rules, seccomp.Deny(unix.SYS_SOCKET, unix.SYS_CONNECT)...)
	}
	f, err := seccomp.Assemble(rules...)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // both on one thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return f.Process()
}
