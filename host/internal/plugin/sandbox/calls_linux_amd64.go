package sandbox

import "golang.org/x/sys/unix"

// legacy are older forms of the denied calls, and calls that only this architecture has.
var legacy = []uint32{
	unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT, unix.SYS_MKNOD,
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT,
	unix.SYS_USELIB, unix.SYS_CREATE_MODULE, unix.SYS_SYSFS, unix.SYS__SYSCTL, unix.SYS_USTAT,
}
