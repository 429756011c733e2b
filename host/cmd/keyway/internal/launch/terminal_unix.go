//go:build unix

package launch

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// terminal is the one that keyway was started from in the foreground; a nil terminal is none, and does nothing.
//
// The program is in a process group of its own, in the foreground, so that Ctrl-C reaches it once and not us. When it is
// stopped (Ctrl-Z), we stop too, so that the shell takes over; when the shell continues us, the program goes on.
type terminal struct {
	file  *os.File
	group int // our own process group
}

// openTerminal gives the controlling terminal if we are in its foreground.
func openTerminal() *terminal {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	t := &terminal{file: f, group: unix.Getpgrp()}
	if t.foreground() != t.group {
		f.Close()
		return nil
	}
	return t
}

func (t *terminal) close() {
	if t != nil {
		t.file.Close()
	}
}

// fd gives the descriptor without switching it to blocking mode for others.
func (t *terminal) fd() (fd int) {
	fd = -1
	if raw, err := t.file.SyscallConn(); err == nil {
		_ = raw.Control(func(x uintptr) { fd = int(x) })
	}
	return fd
}

func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd(), unix.TIOCGPGRP)
	if err != nil {
		return -1
	}
	return group
}

// give puts the program into the foreground if we are there: fg, not bg, continued us.
func (t *terminal) give(pid int) {
	if t != nil && t.foreground() == t.group {
		t.set(pid)
	}
}

// takeBack makes us the foreground again, so that a script which started us can go on reading.
func (t *terminal) takeBack() {
	if t != nil {
		t.set(t.group)
	}
}

// set changes the foreground. Who does so from the background gets SIGTTOU, which would stop us.
func (t *terminal) set(group int) {
	signal.Ignore(unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTOU)
	_ = unix.IoctlSetPointerInt(t.fd(), unix.TIOCSPGRP, group)
}

func (t *terminal) waitOptions() int {
	if t == nil {
		return 0
	}
	return unix.WUNTRACED
}

// suspend stops us as the program was stopped. It returns when somebody continues us.
func (t *terminal) suspend() {
	if t != nil {
		_ = unix.Kill(0, unix.SIGSTOP)
	}
}
