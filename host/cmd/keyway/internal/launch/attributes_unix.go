//go:build unix && !linux

package launch

import "syscall"

// attributes put the program into a process group of its own.
func attributes(t *terminal) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if t != nil {
		a.Foreground, a.Ctty = true, t.fd()
	}
	return a
}
