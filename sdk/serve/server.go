package serve

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/http"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// server answers the contract's service for one plugin. Its methods return errors of the contract; an interceptor makes
// statuses of them.
type server struct {
	pb.UnimplementedPluginServer
	plugin *sdk.Plugin
	log    *slog.Logger
	stores table
	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: sdk's own
}

func newServer(p *sdk.Plugin, log *slog.Logger) *server {
	return &server{plugin: p, log: log, stores: table{entries: map[string]*entry{}}}
}

// env is what the store of a handle gets from us; sdk fills the rest.
func (s *server) env(handle string) sdk.Env {
	return sdk.Env{Logger: s.log.With("store", handle), DialContext: s.dial}
}

// dialThrough makes dial the way to the network: of the stores, and of libraries that use http's default transport or a
// clone of it. It is for a process that serves nothing else.
func (s *server) dialThrough(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	s.dial = dial
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.DialContext, t.Proxy = dial, nil // the host knows the proxies
	}
}

// Describe introduces the plugin.
func (s *server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return wire.EncodeManifest(s.plugin.Manifest()), nil
}

// Open opens a store, once for a handle: repeated with the same settings it answers the same.
func (s *server) Open(ctx context.Context, r *pb.OpenRequest) (*pb.OpenResponse, error) {
	if err := wire.AllowOpen(r.GetStore(), r.GetSettings()); err != nil {
		return nil, err
	}
	e, mine, err := s.stores.claim(r.GetStore(), sha256.Sum256(r.GetSettings()))
	if err != nil {
		return nil, err
	}
	if mine {
		s.open(ctx, e, r.GetSettings())
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		return nil, sdk.Errorf(sdk.CodeOf(ctx.Err()), "open %q: %w", e.handle, ctx.Err())
	}
	if e.err != nil {
		return nil, e.err
	}
	return wire.EncodeOpened(e.opened.Capabilities, e.opened.Reach), nil
}

func (s *server) open(ctx context.Context, e *entry, settings []byte) {
	var opened *sdk.Opened
	var err error
	defer func() {
		if x := recover(); x != nil {
			err = panicked(ctx, "Open", x)
		}
		s.stores.settle(e, opened, err)
	}()
	if opened, err = s.plugin.Open(ctx, s.env(e.handle), settings); err != nil {
		return
	}
	if err = wire.CheckReach(e.handle, opened.Reach); err != nil {
		_ = opened.Store.Close(ctx) // nobody will have the handle to close it
	}
}

// Close closes a store; one that is not open is closed already.
func (s *server) Close(ctx context.Context, r *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, s.stores.close(ctx, r.GetStore())
}

// Check asks the backend whom it takes the store for.
func (s *server) Check(ctx context.Context, r *pb.CheckRequest) (*pb.CheckResponse, error) {
	return call(ctx, s, r.GetStore(), func(ctx context.Context, store sdk.Store, _ sdk.Capabilities) (*pb.CheckResponse, error) {
		report, err := store.Check(ctx)
		if err != nil {
			return nil, err
		}
		return wire.EncodeReport(report), nil
	})
}

// Watch passes hints on until the caller leaves or the store is closed.
func (s *server) Watch(r *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	e, err := s.stores.pin(r.GetStore())
	if err != nil {
		return err
	}
	defer e.calls.Done()
	w, ok := e.opened.Store.(sdk.Watcher)
	if !ok {
		return noSuchCall(e)
	}
	if err := wire.AllowWatch(e.opened.Capabilities); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(e.open, cancel)()
	err = w.Watch(ctx, func(ev sdk.Event) error {
		if err := wire.CheckEvent(ev); err != nil {
			return err
		}
		return stream.Send(wire.EncodeEvent(ev))
	})
	if e.open.Err() != nil {
		return wire.UnknownStore(e.handle) // closed meanwhile
	}
	return err
}

// call pins the store of a handle and runs f on it, as the capability C. The context that f gets also ends when the host
// no longer waits for the store's calls.
func call[C, R any](ctx context.Context, s *server, handle string, f func(context.Context, C, sdk.Capabilities) (R, error)) (R, error) {
	var none R
	e, err := s.stores.pin(handle)
	if err != nil {
		return none, err
	}
	defer e.calls.Done()
	c, ok := e.opened.Store.(C)
	if !ok {
		return none, noSuchCall(e)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.alive, cancel)()
	out, err := f(ctx, c, e.opened.Capabilities)
	if err != nil {
		return none, err
	}
	return out, nil
}

// noSuchCall is only met by a host that did not read what Open answered.
func noSuchCall(e *entry) error {
	return sdk.Errorf(sdk.Unimplemented, "store %q has no such call; it can %s", e.handle, e.opened.Capabilities)
}
