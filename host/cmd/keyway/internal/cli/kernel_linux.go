package cli

import (
	"golang.org/x/sys/unix"
)

// kernel tells what the system offers to confine a plugin and to tie it to its host.
func (d *doctor) kernel() {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		d.warn("kernel", "use a kernel of 5.13 or later with Landlock on to confine plugins to their files", "no Landlock: %v", errno)
	} else {
		d.ok("kernel", "Landlock, version %d", abi)
	}
	fd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		d.warn("kernel", "use a kernel of 5.3 or later to stop plugins without a race", "no process descriptors: %v", err)
		return
	}
	unix.Close(fd)
	d.ok("kernel", "process descriptors")
}
