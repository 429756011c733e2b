// Package early moves the real stdout away before any other package can write to it. Windows has no descriptors to swap:
// there the host skips lines until one is a handshake.
package early

// Stdout is -1: nothing was moved.
var Stdout = -1
