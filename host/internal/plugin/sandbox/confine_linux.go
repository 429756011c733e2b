package sandbox

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/sdk"
)

// confinement is what is done to a thread.
type confinement struct {
	noNewPrivs bool
	ruleset    int // of Landlock; -1: none
	securebits bool
	filter     func() error // nil: none
}

func unconfined() confinement { return confinement{ruleset: -1} }

// prepare decides about each layer, in the order in which they come to the thread.
func (r *Profile) prepare(p Policy, have Layers) error {
	if !have.NoNewPrivs {
		r.lacks("no_new_privs", "Linux has it since 3.5; without it no other layer can be set")
		return nil
	}
	r.thread.noNewPrivs = true
	r.has("no_new_privs")
	if err := r.prepareLandlock(p, have); err != nil {
		return err
	}
	switch {
	case !privileged():
	case have.Securebits:
		r.thread.securebits = true
		r.has("securebits")
	default:
		r.lacks("securebits", "the host is root without CAP_SETPCAP, so the plugin has its capabilities; run the host as another user")
	}
	return r.prepareFilter(p, have)
}

func (r *Profile) prepareLandlock(p Policy, have Layers) error {
	if have.Landlock < 1 {
		r.lacks("landlock", "this kernel has none (Linux has it since 5.13, but it may be off at boot: see lsm=), so files are as open as they are to the user")
		return nil
	}
	ruleset, err := openRuleset(p, have)
	if err != nil {
		return sdk.Errorf(sdk.FailedPrecondition, "confine: %w; set plugins.sandbox to off if this kernel cannot", err)
	}
	r.thread.ruleset = ruleset
	r.has("landlock " + strconv.Itoa(have.Landlock))
	// Without a network of its own a process has no use for the two: the filter lets it connect to nothing.
	if p.Network == Direct && have.Landlock < abiPorts {
		r.lacks("landlock 4", "this kernel does not know ports, so a direct plugin may connect to every one")
	}
	if p.Network == Direct && have.Landlock < abiScopes {
		r.lacks("landlock 6", "this kernel has no scopes, so a direct plugin may connect to abstract Unix sockets")
	}
	return nil
}

func (r *Profile) prepareFilter(p Policy, have Layers) error {
	if !have.Seccomp {
		r.lacks("seccomp", "this kernel takes no filter of system calls, so signals and sockets are as open as they are to the user")
		return nil
	}
	install, err := filter(p)
	if err != nil {
		return sdk.Errorf(sdk.Internal, "confine: %w", err)
	}
	r.thread.filter = install
	r.has("seccomp")
	return nil
}

// noRoot keeps capabilities from what a root thread executes, and cannot be taken back. Not capset: when a gateway calls
// setuid later, Go does so on every thread and ends the program where one answers differently; this leaves setuid alike on
// all.
const noRoot = 1<<0 | 1<<1 // SECBIT_NOROOT, SECBIT_NOROOT_LOCKED

// restrict puts each layer where the one before still allows it: the filter is last.
func (c confinement) restrict() error {
	if c.noNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return refused("no_new_privs", err)
		}
		// What a service manager gave a host that is not root, the binding of low ports say. Old kernels have none.
		_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	}
	if c.ruleset >= 0 {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(c.ruleset), 0, 0); errno != 0 {
			return refused("landlock", errno)
		}
	}
	if c.securebits {
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0); err != nil {
			return refused("securebits", err)
		}
	}
	if c.filter != nil {
		if err := c.filter(); err != nil {
			return refused("seccomp", err)
		}
	}
	return nil
}

func refused(layer string, err error) error {
	return sdk.Errorf(sdk.FailedPrecondition, "confine: %s: %w; set plugins.sandbox to off if this system cannot", layer,
		fmt.Errorf("the kernel refuses it to this thread: %w", err))
}

func (c *confinement) close() {
	if c.ruleset >= 0 {
		_ = unix.Close(c.ruleset)
		c.ruleset = -1
	}
}
