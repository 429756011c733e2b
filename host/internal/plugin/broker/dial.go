package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// open judges an endpoint and connects to it. The error is a *Refusal or what the network said.
func (b *Broker) open(ctx context.Context, endpoint string) (net.Conn, error) {
	host, port, ok := split(endpoint)
	if !ok {
		return nil, &Refusal{Endpoint: endpoint, Reason: `it is not a host and a numeric port, as in "vault.example.com:8200"`}
	}
	declared, ambient := b.permits(canonical(endpoint))
	if !declared {
		return nil, &Refusal{Endpoint: endpoint, Reason: "no open store of this plugin declares it; " +
			"correct the address in a store's settings, or the endpoints that the provider's Reach declares"}
	}
	r := rules{team: b.opts.Team, ambient: ambient}
	proxy, err := b.proxies.forEndpoint(canonical(endpoint), port)
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return b.direct(ctx, endpoint, r)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if why := r.objection(a); why != "" {
			return nil, &Refusal{Endpoint: endpoint, Address: a.String(), Reason: a.String() + ": " + why}
		}
	}
	return b.tunnel(ctx, proxy, canonical(endpoint))
}

// direct connects from this machine. Of a name with several addresses those that may not be reached are passed over; where
// no other answers, the first of them is the reason.
func (b *Broker) direct(ctx context.Context, endpoint string, r rules) (net.Conn, error) {
	var mu sync.Mutex // the dialer tries IPv4 and IPv6 side by side
	var first *Refusal
	conn, err := b.opts.Dial(ctx, "tcp", endpoint, func(_ context.Context, _, address string, _ syscall.RawConn) error {
		refusal := judge(endpoint, address, r)
		if refusal == nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = refusal
		}
		return refusal
	})
	if err == nil {
		return conn, nil
	}
	mu.Lock()
	defer mu.Unlock()
	if first != nil {
		return nil, first
	}
	return nil, err
}

func judge(endpoint, address string, r rules) *Refusal {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Refusal{Endpoint: endpoint, Reason: "it resolves to something that is not an address"}
	}
	why := r.objection(ap.Addr())
	if why == "" {
		return nil
	}
	a := ap.Addr().String()
	return &Refusal{Endpoint: endpoint, Address: a, Reason: "it resolves to " + a + ": " + why}
}

// failure says in one line what the network said.
func failure(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("no connection within %v", dialTimeout)
	case errors.As(err, &op) && op.Addr != nil:
		return fmt.Sprintf("%s: %v", op.Addr, op.Err)
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
