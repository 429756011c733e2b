//go:build unix

package launch

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a program may have a use for. Those it would die of by its own fault, and those about its
// parent's children, are not among them.
var forwarded = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP}

func run(path string, p Program) (int, error) {
	// The kernel ends the program when the thread that forked it ends, so this thread stays ours.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	signals := make(chan os.Signal, 64) // before the fork, so that none is lost between
	for _, s := range forwarded {
		if !signal.Ignored(s) { // nohup: the program is to ignore it as well
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)

	term := openTerminal()
	defer term.close()
	pid, err := syscall.ForkExec(path, p.Args, &syscall.ProcAttr{Env: p.Env, Files: []uintptr{0, 1, 2}, Sys: attributes(term)})
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		forward(signals, done, pid, term)
	}()
	if p.Started != nil {
		p.Started() // signals are handed on meanwhile
	}
	status := wait(pid, term)
	close(done)
	<-stopped
	term.takeBack()
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// forward hands signals on until done is closed.
func forward(signals <-chan os.Signal, done <-chan struct{}, pid int, term *terminal) {
	for {
		select {
		case <-done:
			return
		case s := <-signals:
			to := pid
			if s == unix.SIGCONT && term != nil {
				term.give(pid)
				to = -pid // the terminal stopped the whole group
			}
			if n, ok := s.(syscall.Signal); ok {
				_ = unix.Kill(to, n) // it may have ended: wait tells
			}
		}
	}
}

// wait reaps every child until the program itself has ended. As process 1 we inherit all orphans of the container.
func wait(pid int, term *terminal) unix.WaitStatus {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, term.waitOptions(), nil)
		switch {
		case err == unix.EINTR || ended != pid:
			if err == unix.ECHILD {
				return status // not ours any more: nothing left to wait for
			}
		case status.Stopped():
			term.suspend()
		default:
			return status
		}
	}
}
