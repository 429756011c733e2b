package dial

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Store is one open store in a plugin. It has every method of the contract's interfaces; what the store cannot do, by
// [Store.Can], is Unimplemented without a call. A malformed request is InvalidArgument without a call, a malformed answer
// Internal, a value over [sdk.MaxValue] DataLoss. It is safe for concurrent use.
type Store struct {
	client pb.PluginClient
	handle string
	can    sdk.Capabilities
	reach  *sdk.Reach
}

var (
	_ sdk.Store       = (*Store)(nil)
	_ sdk.Getter      = (*Store)(nil)
	_ sdk.BatchGetter = (*Store)(nil)
	_ sdk.Stater      = (*Store)(nil)
	_ sdk.Lister      = (*Store)(nil)
	_ sdk.Versioner   = (*Store)(nil)
	_ sdk.Putter      = (*Store)(nil)
	_ sdk.Deleter     = (*Store)(nil)
	_ sdk.Restorer    = (*Store)(nil)
	_ sdk.Encrypter   = (*Store)(nil)
	_ sdk.Decrypter   = (*Store)(nil)
	_ sdk.Watcher     = (*Store)(nil)
)

// Handle is the handle it was opened with.
func (s *Store) Handle() string { return s.handle }

// Can is what the store can do with its settings.
func (s *Store) Can() sdk.Capabilities { return s.can }

// Reach is what the store says it touches outside its process; nil means that nobody knows. Do not change it.
func (s *Store) Reach() *sdk.Reach { return s.reach }

// invoke makes one call and translates its failure.
func invoke[Q, P any](ctx context.Context, op string, rpc func(context.Context, *Q, ...grpc.CallOption) (*P, error), q *Q) (*P, error) {
	out, err := rpc(ctx, q)
	if err != nil {
		return nil, wire.FromStatus(ctx, op, err)
	}
	return out, nil
}

// Check asks the backend whom it takes the store for.
func (s *Store) Check(ctx context.Context) (sdk.Report, error) {
	out, err := invoke(ctx, "check", s.client.Check, &pb.CheckRequest{Store: s.handle})
	return wire.DecodeReport(out), err
}

// Close ends the store's watches, waits for its calls and frees it. When ctx ends first, the calls are cancelled and the
// plugin frees the store behind them. Closing again does nothing.
func (s *Store) Close(ctx context.Context) error {
	_, err := invoke(ctx, "close", s.client.Close, &pb.CloseRequest{Store: s.handle})
	return err
}

// Get reads one secret.
func (s *Store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if err := wire.AllowGet(s.can, r); err != nil {
		return sdk.Secret{}, err
	}
	out, err := invoke(ctx, "get", s.client.Get, wire.EncodeGet(s.handle, r))
	if err != nil {
		return sdk.Secret{}, err
	}
	secret := wire.DecodeSecret(out.GetSecret())
	if err := wire.CheckSecret("get", r.Name, secret, sdk.DataLoss); err != nil {
		return sdk.Secret{}, err
	}
	return secret, nil
}

// GetBatch reads the current versions of 1 to [sdk.MaxBatch] distinct names, with one result for each, in order.
func (s *Store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	if err := wire.AllowBatch(s.can, r); err != nil {
		return nil, err
	}
	out, err := invoke(ctx, "get_batch", s.client.GetBatch, wire.EncodeBatch(s.handle, r))
	if err != nil {
		return nil, err
	}
	results := wire.DecodeResults(out)
	if err := wire.CheckResults(r.Names, results, sdk.DataLoss); err != nil {
		return nil, err
	}
	return results, nil
}

// Stat tells about one secret without its value.
func (s *Store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	if err := wire.AllowStat(s.can, r); err != nil {
		return sdk.Meta{}, err
	}
	out, err := invoke(ctx, "stat", s.client.Stat, wire.EncodeStat(s.handle, r))
	if err != nil {
		return sdk.Meta{}, err
	}
	meta := wire.DecodeMeta(out.GetMeta())
	if err := wire.CheckMeta(r.Name, meta); err != nil {
		return sdk.Meta{}, err
	}
	return meta, nil
}

// List lists one page of secrets.
func (s *Store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	if err := wire.AllowList(s.can, r); err != nil {
		return sdk.ListPage{}, err
	}
	out, err := invoke(ctx, "list", s.client.List, wire.EncodeList(s.handle, r))
	if err != nil {
		return sdk.ListPage{}, err
	}
	page := wire.DecodePage(out)
	if err := wire.CheckPage(r, page); err != nil {
		return sdk.ListPage{}, err
	}
	return page, nil
}

// Versions lists one page of the versions of a secret.
func (s *Store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	if err := wire.AllowVersions(s.can, r); err != nil {
		return sdk.VersionsPage{}, err
	}
	out, err := invoke(ctx, "versions", s.client.Versions, wire.EncodeVersions(s.handle, r))
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	page := wire.DecodeVersionsPage(out)
	if err := wire.CheckVersionsPage(r, page); err != nil {
		return sdk.VersionsPage{}, err
	}
	return page, nil
}

// Watch calls emit for each hint that a secret may have changed, beginning with Event{} once subscribed. It returns when
// ctx ends, when emit fails, with emit's error, or when the plugin ends the watch: Unavailable, or unknown store when the
// store was closed.
func (s *Store) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	const op = "watch"
	if err := wire.AllowWatch(s.can); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.client.Watch(ctx, &pb.WatchRequest{Store: s.handle})
	if err != nil {
		return wire.FromStatus(ctx, op, err)
	}
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return sdk.Errorf(sdk.Unavailable, "watch: the plugin ended it")
		case err != nil:
			return wire.FromStatus(ctx, op, err)
		}
		event := wire.DecodeEvent(m)
		if err := wire.CheckEvent(event); err != nil {
			return err
		}
		if err := emit(event); err != nil {
			return err
		}
	}
}
