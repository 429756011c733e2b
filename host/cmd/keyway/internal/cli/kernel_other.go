//go:build !linux

package cli

// kernel has nothing to look for: plugins are confined on Linux only.
func (d *doctor) kernel() {
	d.warn("kernel", "run the gateway on Linux in production", "this system does not confine plugins")
}
