//go:build linux && (amd64 || arm64)

package seccomp_test

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/internal/seccomp"
)

// under runs f on a thread that has the filter of the rules and ends with f. It is never the main thread, which Go could not
// destroy.
func under(t *testing.T, f func(), rules ...seccomp.Rule) {
	t.Helper()
	filter, err := seccomp.Assemble(rules...)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	thread := func() {
		runtime.LockOSThread()
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = filter.Thread()
		}
		if err == nil {
			f()
		}
		done <- err
	}
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			thread()
			return
		}
		other := make(chan struct{})
		go func() {
			close(other)
			thread()
		}()
		<-other // it has another thread than ours
		runtime.UnlockOSThread()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// call makes a call with numbers, as the kernel sees it and past the vDSO.
func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func random(flags int) error { return call(unix.SYS_GETRANDOM, 0, 0, uintptr(flags)) }

func signal(s unix.Signal) error { return unix.Kill(unix.Getpid(), s) }

func madvise(advice int) error { return call(unix.SYS_MADVISE, 0, 0, uintptr(advice)) }

func TestEachRuleRefusesWhatItNamesAndNothingElse(t *testing.T) {
	stream := seccomp.Socket{Family: unix.AF_UNIX, Types: []uint32{unix.SOCK_STREAM}, Protocols: []uint32{0}}
	tcp := seccomp.Socket{Family: unix.AF_INET, Types: []uint32{unix.SOCK_STREAM, unix.SOCK_DGRAM}, Protocols: []uint32{0, unix.IPPROTO_TCP}}
	for _, c := range []struct {
		name  string
		rules []seccomp.Rule
		call  func() error
		want  error
	}{
		{"no rule", nil, func() error { return signal(0) }, nil},
		{"a rule for another call", seccomp.Deny(unix.SYS_TKILL), func() error { return signal(0) }, nil},
		{"denied", seccomp.Deny(unix.SYS_TKILL, unix.SYS_KILL), func() error { return signal(0) }, unix.EPERM},
		{"absent", seccomp.Absent(unix.SYS_KILL), func() error { return signal(0) }, unix.ENOSYS},
		{"the first rule counts", append(seccomp.Absent(unix.SYS_KILL), seccomp.Deny(unix.SYS_KILL)...), func() error { return signal(0) }, unix.ENOSYS},
		{"a value denied", []seccomp.Rule{seccomp.DenyValues(unix.SYS_KILL, 1, 0, uint32(unix.SIGCONT))}, func() error { return signal(unix.SIGCONT) }, unix.EPERM},
		{"a value not denied", []seccomp.Rule{seccomp.DenyValues(unix.SYS_KILL, 1, 0)}, func() error { return signal(unix.SIGCONT) }, nil},
		{"a value needed", []seccomp.Rule{seccomp.NeedValue(unix.SYS_KILL, 1, 1, 0)}, func() error { return signal(0) }, nil},
		{"another value than needed", []seccomp.Rule{seccomp.NeedValue(unix.SYS_KILL, 1, 1, 0)}, func() error { return signal(unix.SIGCONT) }, unix.EPERM},
		{"a bit denied", []seccomp.Rule{seccomp.DenyBits(unix.SYS_GETRANDOM, 2, unix.GRND_NONBLOCK|unix.GRND_RANDOM)},
			func() error { return random(unix.GRND_NONBLOCK) }, unix.EPERM},
		{"no bit denied", []seccomp.Rule{seccomp.DenyBits(unix.SYS_GETRANDOM, 2, unix.GRND_NONBLOCK)}, func() error { return random(0) }, nil},
		{"a bit needed", []seccomp.Rule{seccomp.NeedBit(unix.SYS_GETRANDOM, 2, unix.GRND_NONBLOCK)}, func() error { return random(unix.GRND_NONBLOCK) }, nil},
		{"a bit missing", []seccomp.Rule{seccomp.NeedBit(unix.SYS_GETRANDOM, 2, unix.GRND_NONBLOCK)}, func() error { return random(0) }, unix.EPERM},
		{"a later argument", []seccomp.Rule{seccomp.DenyValues(unix.SYS_MADVISE, 2, unix.MADV_RANDOM)}, func() error { return madvise(unix.MADV_RANDOM) }, unix.EPERM},
		{"a kind of socket", []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, stream, tcp)}, func() error { return socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) }, nil},
		{"the second kind", []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, stream, tcp)}, func() error { return socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP) }, nil},
		{"another type", []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, stream, tcp)}, func() error { return socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0) }, unix.EPERM},
		{"another protocol", []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, stream, tcp)}, func() error { return socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP) }, unix.EPERM},
		{"another family", []seccomp.Rule{seccomp.NeedSocket(unix.SYS_SOCKET, stream, tcp)}, func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, 0) }, unix.EPERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got error
			under(t, func() { got = c.call() }, c.rules...)
			if !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("the call answered %v, want %v", got, c.want)
			}
		})
	}
}

func TestAFilterIsOfItsThreadAlone(t *testing.T) {
	under(t, func() {}, seccomp.Deny(unix.SYS_KILL)...)
	if err := signal(0); err != nil {
		t.Errorf("another thread: %v, want that it may", err)
	}
}

func TestNoFilterIsNotInstalled(t *testing.T) {
	if err := (seccomp.Filter{}).Thread(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("install the zero value: %v, want an invalid argument", err)
	}
}
