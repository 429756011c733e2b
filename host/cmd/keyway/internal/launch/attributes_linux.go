package launch

import "syscall"

// attributes put the program into a process group of its own, and let it die with us even if we are killed.
func attributes(t *terminal) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if t != nil {
		a.Foreground, a.Ctty = true, t.fd()
	}
	return a
}
