package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// Kernel tells what this kernel offers to this process. It is cheap and asked anew each time.
func Kernel() Layers {
	return Layers{
		Landlock:       landlockInfo(unix.LANDLOCK_CREATE_RULESET_VERSION),
		LandlockErrata: landlockInfo(unix.LANDLOCK_CREATE_RULESET_ERRATA),
		Seccomp:        filterAvailable(),
		Securebits:     !privileged() || effective(unix.CAP_SETPCAP),
		NoNewPrivs:     true, // since Linux 3.5
		Limits:         true, // since Linux 2.6.36
	}
}

func landlockInfo(question uintptr) int {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, question)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// privileged reports whether a program that we execute would have capabilities because we are root.
func privileged() bool {
	set, ok := capabilities()
	return os.Geteuid() == 0 && (!ok || set[0].Permitted|set[1].Permitted != 0)
}

func effective(capability uint) bool {
	set, ok := capabilities()
	return ok && set[capability/32].Effective&(1<<(capability%32)) != 0
}

func capabilities() (set [2]unix.CapUserData, ok bool) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return set, unix.Capget(&header, &set[0]) == nil
}
