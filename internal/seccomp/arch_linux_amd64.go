package seccomp

import "golang.org/x/sys/unix"

// auditArch is the one architecture whose calls pass. x32Bit marks calls of the x32 interface, which would be other numbers
// for the same calls.
const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 0x40000000
)
