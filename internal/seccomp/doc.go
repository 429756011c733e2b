// Package seccomp makes filters of system calls: a list of what is refused, everything else allowed. A refused call answers
// EPERM, so that a program reports an error instead of dying. The host and the plugin's side both use it. Linux on amd64 and
// arm64.
package seccomp
