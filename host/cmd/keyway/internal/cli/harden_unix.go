//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// harden keeps the memory of a process that holds secrets out of core files, and what it creates from other users.
func harden() error {
	unix.Umask(0o077)
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
