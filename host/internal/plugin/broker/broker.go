// Package broker connects plugins to the network. A plugin's process owns no network socket and resolves no name: it asks
// for "host:port" over a socket pair, and gets a connected TCP socket or the reason why not.
//
// The host judges twice, for every connection: the name, which an open store must have declared, and after DNS each
// address. A name that resolves elsewhere the next time is judged anew, and a connected socket cannot be pointed elsewhere
// by a process that may not call connect.
//
// On the socket pair, of type SOCK_SEQPACKET, a request is 8 bytes of the plugin's choice and the endpoint; the answer is
// the same 8 bytes and either a text or, as SCM_RIGHTS, the socket. The text of a refusal begins with "refused: ", so that
// a plugin can tell it from a failure of the network.
package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Options configure a [Broker].
type Options struct {
	Plugin string // its name, in logs
	// Team is for a process that serves teams' stores: loopback, private and shared addresses are refused too.
	Team bool
	// Proxy holds "NAME=value" entries of HTTPS_PROXY, which port 443 goes through, HTTP_PROXY, which every other port
	// does, and NO_PROXY, in the usual forms. Behind a proxy only the name is judged: the proxy resolves it.
	Proxy  []string
	Logger *slog.Logger // nil logs nothing
	// Refused is told of every refusal, from several goroutines. It must not block. Nil: nobody.
	Refused func(Refusal)
	// Dial stands in for a net.Dialer in tests. It must call control with each address before it connects, unless that is nil.
	Dial func(ctx context.Context, network, address string, control Control) (net.Conn, error)
}

// Control judges one address after DNS, as net.Dialer's ControlContext does.
type Control func(ctx context.Context, network, address string, c syscall.RawConn) error

// Refusal is a connection that a plugin asked for and must not have.
type Refusal struct {
	Endpoint string // "host:port" as asked, printable
	Address  string // what it resolved to; empty when the name was refused
	Reason   string
}

// Error gives the endpoint and the reason.
func (r *Refusal) Error() string { return "dial " + r.Endpoint + ": " + r.Reason }

// Broker dials for one plugin's process and those that replace it. It is safe for concurrent use.
type Broker struct {
	opts    Options
	proxies proxies
	timeout time.Duration // of a dial, from its request on, and of a plugin that does not read its answers
	log     refusalLog

	mu       sync.Mutex
	closed   bool
	stores   map[string]declaration // by handle
	channels map[*channel]struct{}

	dials, refused atomic.Int64
}

// declaration is what one open store may reach.
type declaration struct {
	endpoints map[string]struct{} // in the form that canonical gives
	ambient   bool
}

const (
	dialTimeout = 10 * time.Second // as a plugin's own dialer has
	keepAlive   = 30 * time.Second
)

// New returns a broker that refuses everything until Allow is called.
func New(o Options) *Broker {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = plainDial
	}
	return &Broker{opts: o, proxies: newProxies(o.Proxy), timeout: dialTimeout, log: refusalLog{now: time.Now},
		stores: map[string]declaration{}, channels: map[*channel]struct{}{}}
}

func plainDial(ctx context.Context, network, address string, control Control) (net.Conn, error) {
	d := net.Dialer{KeepAlive: keepAlive, ControlContext: control}
	d.SetMultipathTCP(false) // a plugin's filter allows plain TCP sockets only
	return d.DialContext(ctx, network, address)
}

// Allow lets the plugin dial what an open store declares, until Forget. A nil reach declares nothing.
func (b *Broker) Allow(handle string, reach *sdk.Reach) {
	d := declaration{endpoints: map[string]struct{}{}}
	if reach != nil {
		d.ambient = reach.Ambient && !b.opts.Team
		for _, e := range reach.Endpoints {
			d.endpoints[canonical(e)] = struct{}{}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stores[handle] = d
}

// Forget takes back what Allow gave. Connections that were made stay.
func (b *Broker) Forget(handle string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.stores, handle)
}

// permits tells whether an open store declares the endpoint, and whether one of those uses the ambient identity.
func (b *Broker) permits(endpoint string) (declared, ambient bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.stores {
		if _, ok := d.endpoints[endpoint]; ok {
			declared, ambient = true, ambient || d.ambient
		}
	}
	return declared, ambient
}

// Connect makes the socket pair of one generation and serves its host's end until the plugin's is closed or stop is
// called. The caller closes pluginEnd once the plugin has it. stop cancels the dials under way and returns when nothing of
// the pair is left in the host; it may be called more than once. The error is errors.ErrUnsupported where the system has no
// such sockets.
//
// broken is called, once, when the plugin breaks the rules of its socket, which ends it: the process can dial no more.
func (b *Broker) Connect(broken func(error)) (pluginEnd *os.File, stop func(), err error) {
	conn, pluginEnd, err := pair()
	if err != nil {
		return nil, nil, err
	}
	c := newChannel(b, conn, broken)
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		c.end()
		return nil, nil, errors.Join(net.ErrClosed, pluginEnd.Close())
	}
	b.channels[c] = struct{}{}
	b.mu.Unlock()
	go func() {
		c.serve()
		b.mu.Lock()
		delete(b.channels, c)
		b.mu.Unlock()
		close(c.done)
	}()
	return pluginEnd, c.stop, nil
}

// Counts gives how many connections were made, and how many refused.
func (b *Broker) Counts() (dials, refused int64) { return b.dials.Load(), b.refused.Load() }

// Close stops every generation's socket. Afterwards Connect fails.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	var all []*channel
	for c := range b.channels {
		all = append(all, c)
	}
	b.mu.Unlock()
	for _, c := range all {
		c.stop()
	}
}

// refuse counts a refusal and tells of it.
func (b *Broker) refuse(r *Refusal) {
	b.refused.Add(1)
	if b.opts.Refused != nil {
		b.opts.Refused(*r)
	}
	if b.log.due(r.Endpoint) {
		b.opts.Logger.Warn("plugin was refused a connection", "plugin", b.opts.Plugin, "endpoint", r.Endpoint, "address", r.Address, "reason", r.Reason)
	}
}
