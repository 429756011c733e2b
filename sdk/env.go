package sdk

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Env is what an opening gets from the host. DialContext and HTTPClient are the only network a store may use: every new
// connection is judged by name, against what the settings' Reach declares, and by address after DNS. They work the same in
// every mode and on every system. A store may keep an Env as long as it lives; all of it is safe for concurrent use.
type Env struct {
	// DialContext connects. Its refusals are *Error with PermissionDenied and the reason "reach". A gRPC client takes it with
	// grpc.WithContextDialer and a target "passthrough:///host:port": with any other gRPC resolves names in the plugin's
	// process, which has no way to.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTPClient dials through DialContext. It follows no proxy, since a proxy would hide the target.
	HTTPClient *http.Client
	// Logger writes to the host's log, at the level the host asked for. Never give it a value.
	Logger *slog.Logger
}

// NewTransport makes an HTTP transport that dials through the Env, for clients with TLS settings of their own. The caller
// may change it before its first use.
func (e Env) NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:           e.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64, // http's own default of 2 makes a burst of readers reconnect
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// confine fills what base leaves open and holds its dialer to reach; a nil reach is unknown and lets every name pass.
func confine(base Env, reach *Reach) Env {
	env := base
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	dial := base.DialContext
	if dial == nil {
		dial = directDialer(reach != nil && reach.Ambient).DialContext
	}
	env.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if reach != nil && !reach.covers(address) {
			return nil, refused("dial %s: not an endpoint that the settings declare (%s)", address, strings.Join(reach.Endpoints, ", "))
		}
		return dial(ctx, network, address)
	}
	if env.HTTPClient == nil {
		env.HTTPClient = &http.Client{Transport: env.NewTransport()}
	}
	return env
}

// covers compares "host:port" without regard to case or a trailing dot, as DNS does.
func (r *Reach) covers(address string) bool {
	want := endpoint(address)
	for _, e := range r.Endpoints {
		if endpoint(e) == want {
			return true
		}
	}
	return false
}

func endpoint(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return strings.ToLower(s)
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

// directDialer is the dialer of a process that owns its sockets. It sees each address after DNS, so a name that resolves
// to the metadata service is refused too.
func directDialer(ambient bool) *net.Dialer {
	return &net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return refused("dial %s: not an address", address)
			}
			return checkAddress(ap.Addr().Unmap().WithZone(""), ambient)
		},
	}
}

// Instance metadata answers outside the link-local ranges at two places.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
var metadataAddresses = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16")}

func checkAddress(a netip.Addr, ambient bool) error {
	switch {
	case a.IsUnspecified(), a.IsMulticast():
		return refused("dial %s: not the address of a server", a)
	case ambient:
		return nil
	case a.IsLinkLocalUnicast():
		return refused("dial %s: a link-local address, where instance metadata answers; only settings that use the ambient identity may reach it", a)
	}
	for _, m := range metadataAddresses {
		if a == m {
			return refused("dial %s: the instance metadata service; only settings that use the ambient identity may reach it", a)
		}
	}
	return nil
}

func refused(format string, args ...any) *Error {
	e := Errorf(PermissionDenied, format, args...)
	e.Reason = "reach"
	return e
}
