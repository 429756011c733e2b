package cli

import "golang.org/x/sys/unix"

// harden keeps the memory of a process that holds secrets from other processes of its user and from core files, and what it
// creates from other users.
func harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
