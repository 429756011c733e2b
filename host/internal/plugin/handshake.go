package plugin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk/dial"
)

// coreVersion is that of go-plugin's handshake line.
const coreVersion = 1

// handshakeForm tells a handshake from whatever else a plugin prints before it: "1|1|unix|/path|grpc".
var handshakeForm = regexp.MustCompile(`^\s*(\d{1,9})\|(\d{1,9})\|([a-z0-9]+)\|([^|]+)(?:\|([^|]*))?`)

// checkHandshake refuses a plugin that speaks another version. go-plugin would refuse it too, less clearly.
func checkHandshake(line string) error {
	m := handshakeForm.FindStringSubmatch(line)
	if core, _ := strconv.Atoi(m[1]); core != coreVersion {
		return fmt.Errorf("%w: the plugin's handshake is version %d, this host's %d", ErrContract, core, coreVersion)
	}
	if version, _ := strconv.Atoi(m[2]); version != dial.Protocol {
		return fmt.Errorf("%w: the plugin speaks version %d of the contract, this host version %d; install a plugin for this host", ErrContract, version, dial.Protocol)
	}
	if m[5] != "grpc" {
		return fmt.Errorf("%w: the plugin speaks %.16q, this host grpc", ErrContract, m[5])
	}
	return nil
}

// checkAddress refuses an address that is not a Unix socket directly in dir, which only this plugin and the host can reach:
// else a plugin could make the host dial whatever it names. Where there are no Unix sockets it must be a loopback address.
func checkAddress(network, address, dir string, sockets bool) error {
	if !sockets {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); network != "tcp" || err != nil || ip == nil || !ip.IsLoopback() {
			return fmt.Errorf("%w: it is at %s %.128q, not on a loopback address", ErrAddress, network, address)
		}
		return nil
	}
	if network != "unix" || filepath.Clean(address) != address || filepath.Dir(address) != dir {
		return fmt.Errorf("%w: it is at %s %.128q, not at a socket in its private directory", ErrAddress, network, address)
	}
	info, err := os.Lstat(address)
	if err != nil {
		return fmt.Errorf("%w: its socket cannot be reached: %w", ErrAddress, err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%w: %.128q is not a socket", ErrAddress, address)
	}
	return nil
}

// isHandshake reports whether a printed line is one.
func isHandshake(line string) bool {
	return strings.IndexByte(line, '|') > 0 && handshakeForm.MatchString(line)
}
