// Package sandbox says what a plugin's process may touch and confines the thread that forks it, and so the process. It needs
// no privileges and leaves the rest of the host as it was. It knows nothing of plugins but what they need.
package sandbox

import (
	"os"
	"strings"

	"github.com/keyway-dev/keyway/host/internal/plugin/child"
	"github.com/keyway-dev/keyway/sdk"
)

// Mode says what becomes of a start for which this system lacks a layer.
type Mode string

// The modes; the zero value is BestEffort.
const (
	Strict     Mode = "strict"      // it is refused
	BestEffort Mode = "best_effort" // it is confined by the layers that there are
	Off        Mode = "off"         // nothing is confined, only core files and descriptors are limited
)

// Network says how a process reaches its secret manager.
type Network string

// The kinds; the zero value is None. A process that listens needs a Unix socket of its own for that in all of them.
const (
	None     Network = "none"     // not at all
	Brokered Network = "brokered" // the host dials for it: it has no socket but its listener and cannot connect
	Direct   Network = "direct"   // TCP to Policy.Ports, and DNS
)

// Layers is what a kernel offers. The zero value offers nothing; tests simulate older kernels with it.
type Layers struct {
	Landlock       int  // the version of its interface; 0: none, or off at boot
	LandlockErrata int  // bits of what was mended since
	Seccomp        bool // filters of system calls, on an architecture whose calls we know
	Securebits     bool // root's capabilities can be kept from a child, or we have none to keep
	NoNewPrivs     bool
	Limits         bool // limits of another process
}

// Policy is what one process may touch. Paths are absolute; those that do not exist are left out.
type Policy struct {
	Mode    Mode
	Network Network
	Ports   []uint16 // Direct: the TCP ports it may connect to, beside DNS
	// Read holds files and directories it may read. Whatever may be replaced by a rename, as tokens and certificates are,
	// is found under its directory only: so a file stands for its directory, unless that is high up or somebody's home.
	Read    []string
	Write   []string // directories it may write in, and read
	Socket  string   // the private directory of its listening socket; empty: it does not listen
	Execute []string // what it may execute beside its image, and read: an interpreter and its libraries
	Image   *os.File // the program; nil: it is among Execute
	Memory  int64    // bytes it may allocate; 0: no bound
	Writes  bool     // whether it may write files of any size, and change their modes; else none at all
}

// runtimeData is what a Go program reserves of private memory before its own first byte: it starts with 78 MiB.
const runtimeData = 96 << 20

// Profile is a policy made ready for one start on one system. Its methods are not for concurrent use.
type Profile struct {
	layers, missing []string
	limits          child.Limits
	thread          confinement
}

// Prepare makes ready what p asks for of what a system has. With Strict a layer that is missing, or that cannot confine as
// p asks, is FailedPrecondition. The caller closes the profile after the fork.
func Prepare(p Policy, have Layers) (*Profile, error) {
	if p.Mode == Off {
		return &Profile{missing: []string{"all layers: switched off by plugins.sandbox"}, thread: unconfined()}, nil
	}
	r := &Profile{thread: unconfined()}
	if err := r.prepare(p, have); err != nil {
		r.Close()
		return nil, err
	}
	if have.Limits {
		r.limits = limits(p)
		r.has("rlimits")
	} else {
		r.lacks("rlimits", "this system does not limit another process, so neither memory nor files are bounded")
	}
	if p.Mode == Strict && len(r.missing) > 0 {
		r.Close()
		return nil, sdk.Errorf(sdk.FailedPrecondition,
			"confine: %s; start where it is there, or set plugins.sandbox to best_effort to run without it", strings.Join(r.missing, "; "))
	}
	return r, nil
}

func limits(p Policy) child.Limits {
	var l child.Limits
	if p.Memory > 0 {
		l.Data = runtimeData + uint64(p.Memory)
	}
	if !p.Writes {
		l.FileSize = new(uint64)
	}
	return l
}

func (r *Profile) has(layer string)           { r.layers = append(r.layers, layer) }
func (r *Profile) lacks(layer, reason string) { r.missing = append(r.missing, layer+": "+reason) }

// Restrict confines the calling thread, and so what it forks, for good. The caller has locked its goroutine to the thread,
// never unlocks it, and gives it nothing else to do: it can neither signal nor limit other processes any more.
func (r *Profile) Restrict() error { return r.thread.restrict() }

// Limits are those the host sets on the started process.
func (r *Profile) Limits() child.Limits { return r.limits }

// Layers names what confines the process, "landlock 7" and "seccomp" for example.
func (r *Profile) Layers() []string { return r.layers }

// Missing names what does not, each with its reason.
func (r *Profile) Missing() []string { return r.missing }

// Close frees what the start needed. It may be called again.
func (r *Profile) Close() { r.thread.close() }
