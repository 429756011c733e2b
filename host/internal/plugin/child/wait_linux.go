package child

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pause is how long a child takes to reach where it is held, and to end when it is killed there.
const pause = 50 * time.Microsecond

// release lets a held child go on, and ends the tracing that held it. It does not wait for the child to be held: that would
// take the event from a program that reaps for others, or lose it to one. A child that cannot be released is killed.
func release(pid int) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := unix.PtraceDetach(pid)
		if err == nil || ended(pid) {
			return
		}
		if !errors.Is(err, unix.ESRCH) { // which it answers until the child is held
			elsewhere(func() { _ = unix.Kill(pid, unix.SIGKILL) })
			return
		}
		<-tick.C
	}
}

// ended reports whether a child has ended; it is not reaped.
func ended(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err != nil && !errors.Is(err, unix.EINTR) || err == nil && exited(&info)
}

// The kernel's CLD_EXITED, CLD_KILLED and CLD_DUMPED.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// exited tells an end from a stop, which the kernel reports unasked of whoever is traced.
func exited(info *unix.Siginfo) bool {
	return info.Code == cldExited || info.Code == cldKilled || info.Code == cldDumped
}

// ofThisThread are the options to wait for all that the calling thread forked or traces, and for nothing of other threads.
const ofThisThread = unix.WALL | unix.WNOTHREAD

// awaitEnd waits for the child without reaping it and then has what it left in its group killed: the group's number cannot be
// anybody else's before the child is reaped.
//
// A child may ask to be traced again, by the thread that forked it, which is the caller. Its threads then stop for this one
// and hold up its end when they end; it is killed, and they are reaped.
func awaitEnd(pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT|ofThisThread, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // somebody else has reaped it
		}
		elsewhere(func() {
			_ = unix.Kill(-pid, unix.SIGKILL)
			_ = unix.Kill(pid, unix.SIGKILL) // it may have left its group
		})
		who := whose(&info)
		switch {
		case who == pid && exited(&info):
			return
		case who != pid:
			_, _ = unix.Wait4(who, nil, unix.WNOHANG|ofThisThread, nil)
		}
	}
}

// whose gives the process or thread that an event of waitid is about, for which golang.org/x/sys has no field.
func whose(info *unix.Siginfo) int {
	type event struct {
		_   [3]int32   // signal, error and code
		_   [0]uintptr // what follows is aligned like a pointer
		pid int32
	}
	return int((*event)(unsafe.Pointer(info)).pid)
}
