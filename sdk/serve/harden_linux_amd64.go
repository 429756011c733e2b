package serve

import "golang.org/x/sys/unix"

// forks are the older calls that start a process.
var forks = []uint32{unix.SYS_FORK, unix.SYS_VFORK}
