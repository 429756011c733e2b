//go:build linux && (amd64 || arm64)

package seccomp

import (
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Filter is an assembled program. It is immutable; the zero value is no filter and cannot be installed.
type Filter struct{ program []unix.SockFilter }

// The words of struct seccomp_data: the call's number, the architecture, and six arguments of 8 bytes, of which the kernel's
// int and flag arguments fill the low half. Both architectures are little-endian.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	deny   = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	absent = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
	kill   = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

// Assemble makes a filter of rules. Of several rules for one call the first counts. A program of another architecture is
// killed: its numbers mean other calls.
func Assemble(rules ...Rule) (Filter, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		kill,
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: x32Bit, SkipFalse: 1},
		absent,
	}
	for _, r := range rules {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: uint8(len(r.decide))})
		program = append(program, r.decide...)
	}
	raw, err := bpf.Assemble(append(program, allow))
	if err != nil {
		return Filter{}, fmt.Errorf("assemble the filter of system calls: %w", err)
	}
	f := Filter{make([]unix.SockFilter, len(raw))}
	for i, r := range raw {
		f.program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return f, nil
}

// Thread installs the filter on the calling thread, for good. The thread has no_new_privs, or CAP_SYS_ADMIN.
func (f Filter) Thread() error { return f.install(0) }

// Process installs the filter on every thread of this process, for good. The calling thread has no_new_privs, or
// CAP_SYS_ADMIN.
func (f Filter) Process() error { return f.install(unix.SECCOMP_FILTER_FLAG_TSYNC) }

func (f Filter) install(flags uintptr) error {
	if len(f.program) == 0 {
		return fmt.Errorf("install a filter of system calls: %w", unix.EINVAL)
	}
	prog := unix.SockFprog{Len: uint16(len(f.program)), Filter: &f.program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("install a filter of system calls: %w", errno)
	case thread != 0:
		return fmt.Errorf("install a filter of system calls: thread %d does not take it", thread)
	}
	return nil
}

// Available reports whether this kernel, and whatever filter we run under, lets a filter be installed.
func Available() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}
