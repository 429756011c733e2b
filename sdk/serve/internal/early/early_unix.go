//go:build unix

// Package early moves the real stdout away before any other package can write to it: the first line on it is the
// handshake, and a dependency that greets its user would take its place.
//
// It imports syscall and nothing else. Go initializes a package as soon as all it imports is ready, the first by path
// first, and this path sorts before "os": so this runs before anything that imports os, fmt or log.
package early

import "syscall"

// Stdout is the descriptor of the real stdout, close-on-exec; -1 when no host started this process, or it could not be
// moved. Descriptor 1 is stderr from then on.
var Stdout = move()

func move() int {
	if v, _ := syscall.Getenv("KEYWAY_PLUGIN"); v != "keyway.plugin.v1" {
		return -1
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Dup(1)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1
	}
	if replace(2, 1) != nil {
		_ = syscall.Close(fd)
		return -1
	}
	return fd
}
