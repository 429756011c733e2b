// Package dial is the host's side of the wire: it speaks to a plugin and answers in the contract's types. A plugin is not
// trusted: whatever it answers is judged before a caller sees it.
package dial

import (
	"context"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// What the code that starts a plugin process needs for go-plugin's handshake.
const (
	CookieKey   = wire.CookieKey   // environment variable that tells a plugin that a host starts it
	CookieValue = wire.CookieValue // its value: the contract
	Protocol    = wire.Protocol    // the protocol version in the handshake
	PluginSet   = wire.PluginSet   // go-plugin's name of the one plugin in a process
)

// ReasonMessageLimit is the Reason of a ResourceExhausted result of [Store.GetBatch] whose batch was too large for one
// message. Nobody throttled: ask for that name alone.
const ReasonMessageLimit = wire.ReasonMessageLimit

// Options are what a connection to a plugin needs beside its address and credentials: the contract's message limit, the
// trace context of each call, and no idling.
func Options() []grpc.DialOption { return wire.DialOptions() }

// IsTransport reports whether err is a failure of the plugin's process or connection and not the plugin's answer. Nobody
// knows whether such a call happened.
func IsTransport(err error) bool { return wire.IsTransport(err) }

// IsUnknownStore reports whether err says that the store's handle is not open in the plugin: it lost its memory, or the
// store was closed. The call did not happen. Its code is FailedPrecondition, so ask this first.
func IsUnknownStore(err error) bool { return wire.IsUnknownStore(err) }

// Plugin is a running plugin. It is safe for concurrent use; the connection stays its maker's to close.
type Plugin struct{ client pb.PluginClient }

// New speaks to the plugin at the other end of conn.
func New(conn grpc.ClientConnInterface) *Plugin { return &Plugin{pb.NewPluginClient(conn)} }

// CheckManifest refuses what a plugin may not say of itself, whether over the wire or as --describe prints it.
func CheckManifest(m sdk.Manifest) error { return wire.CheckManifest(m) }

// Describe asks the plugin what it is. An answer that breaks the contract is Internal: a malformed name or version, a
// settings schema that is not a JSON object of at most 256 KiB.
func (p *Plugin) Describe(ctx context.Context) (sdk.Manifest, error) {
	out, err := p.client.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return sdk.Manifest{}, wire.FromStatus(ctx, "describe", err)
	}
	m := wire.DecodeManifest(out)
	if err := wire.CheckManifest(m); err != nil {
		return sdk.Manifest{}, err
	}
	return m, nil
}

// Open opens a store with settings, one JSON object of the plugin's own schema. handle is the caller's choice and must be
// new for every opening; the caller closes what it opened. Nothing is sent to the backend. Faults of the settings are one
// InvalidArgument with a [sdk.Problem] each.
func (p *Plugin) Open(ctx context.Context, handle string, settings []byte) (*Store, error) {
	if err := wire.AllowOpen(handle, settings); err != nil {
		return nil, err
	}
	out, err := p.client.Open(ctx, &pb.OpenRequest{Store: handle, Settings: settings})
	if err != nil {
		return nil, wire.FromStatus(ctx, "open "+handle, err)
	}
	can, reach := wire.DecodeOpened(out)
	store := &Store{client: p.client, handle: handle, can: can, reach: reach}
	if err := wire.CheckReach(handle, reach); err != nil {
		_ = store.Close(ctx) // the caller gets nothing to close
		return nil, err
	}
	return store, nil
}
