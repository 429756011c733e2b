//go:build !linux

package sandbox

// Kernel tells what this system offers: nothing that we know how to use.
func Kernel() Layers { return Layers{} }

type confinement struct{}

func unconfined() confinement       { return confinement{} }
func (confinement) restrict() error { return nil }
func (confinement) close()          {}

func (r *Profile) prepare(Policy, Layers) error {
	r.lacks("files, network and system calls", "this system has no way to confine a process that needs no privileges")
	return nil
}
