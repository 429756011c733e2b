package broker

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	idSize      = 8
	maxEndpoint = 300 // bytes: a name of 253, a dot, brackets, a zone and a port
	maxRequest  = idSize + maxEndpoint
)

// request is one connection that a plugin asks for.
type request struct {
	id       [idSize]byte // means nothing to the host
	endpoint string       // printable ASCII
	deadline time.Time
}

var errMalformed = errors.New("not a request: 8 bytes of id and 1 to 300 of printable ASCII")

// parse reads a packet.
func parse(packet []byte) (request, error) {
	if len(packet) <= idSize || len(packet) > maxRequest {
		return request{}, errMalformed
	}
	for _, c := range packet[idSize:] {
		if c <= ' ' || c > '~' {
			return request{}, errMalformed
		}
	}
	return request{id: [idSize]byte(packet), endpoint: string(packet[idSize:])}, nil
}

// split gives the parts of "host:port". An empty host would be this machine, and a port by name is the resolver's to know.
func split(endpoint string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil || strings.Trim(host, ".") == "" {
		return "", "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, port, err == nil && n > 0
}

// canonical writes an endpoint as it is compared: as in DNS, neither case nor a trailing dot counts.
func canonical(endpoint string) string {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return strings.ToLower(endpoint)
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}
