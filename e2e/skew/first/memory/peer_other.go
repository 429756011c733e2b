//go:build !linux

package memory

import "net"

// peerOf takes everybody for the host: this program asks no other system.
func peerOf(_ net.Conn, host int) int { return host }
