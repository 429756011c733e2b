package seccomp

import "golang.org/x/sys/unix"

// auditArch is the one architecture whose calls pass. There are no further interfaces here, and no call has this bit.
const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0x40000000
)
