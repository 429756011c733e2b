// Package dialsocket is the plugin's end of the socket pair over which its host dials for it, the sixth rule of
// docs/writing-a-plugin.md.
package dialsocket

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	descriptor  = 3
	idSize      = 8
	maxEndpoint = 300 // bytes, of printable ASCII
	maxText     = 512 // bytes of an answer
)

// endpoint is a "host:port" as a net.Addr.
type endpoint string

func (e endpoint) Network() string { return "tcp" }
func (e endpoint) String() string  { return string(e) }

// dialError is the error of a dial that failed, in the form that net gives it, so that clients find out alike in every mode
// that nothing was sent.
func dialError(network, address string, err error) error {
	return &net.OpError{Op: "dial", Net: network, Addr: endpoint(address), Err: err}
}

// refused is the error of a dial that is not allowed.
func refused(address, reason string) error {
	e := sdk.Errorf(sdk.PermissionDenied, "dial %s: %s", address, reason)
	e.Reason = "reach"
	return e
}

// checkAddress refuses what no host would take; one ends the dial socket of a process that sends it.
func checkAddress(network, address string) error {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return refused(strconv.Quote(address), "the host makes TCP connections, and none of "+strconv.Quote(network))
	}
	printable := !strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' })
	if address == "" || len(address) > maxEndpoint || !printable {
		return refused(fmt.Sprintf("%.64q", address), fmt.Sprintf("an address is 1 to %d bytes of printable ASCII without spaces", maxEndpoint))
	}
	return nil
}
