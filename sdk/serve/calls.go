package serve

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Each call is the same: judge the request, ask the provider, judge its answer.

// Get reads one secret.
func (s *server) Get(ctx context.Context, p *pb.GetRequest) (*pb.GetResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Getter, can sdk.Capabilities) (*pb.GetResponse, error) {
		r := wire.DecodeGet(p)
		if err := wire.AllowGet(can, r); err != nil {
			return nil, err
		}
		secret, err := g.Get(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckSecret("get", r.Name, secret, sdk.InvalidArgument); err != nil {
			return nil, err
		}
		return &pb.GetResponse{Secret: wire.EncodeSecret(secret)}, nil
	})
}

// GetBatch reads many secrets.
func (s *server) GetBatch(ctx context.Context, p *pb.GetBatchRequest) (*pb.GetBatchResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.BatchGetter, can sdk.Capabilities) (*pb.GetBatchResponse, error) {
		r := wire.DecodeBatch(p)
		if err := wire.AllowBatch(can, r); err != nil {
			return nil, err
		}
		results, err := g.GetBatch(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckResults(r.Names, results, sdk.InvalidArgument); err != nil {
			return nil, err
		}
		return wire.EncodeResults(results), nil
	})
}

// Stat tells about one secret.
func (s *server) Stat(ctx context.Context, p *pb.StatRequest) (*pb.StatResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Stater, can sdk.Capabilities) (*pb.StatResponse, error) {
		r := wire.DecodeStat(p)
		if err := wire.AllowStat(can, r); err != nil {
			return nil, err
		}
		meta, err := g.Stat(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckMeta(r.Name, meta); err != nil {
			return nil, err
		}
		return fits("stat", &pb.StatResponse{Meta: wire.EncodeMeta(meta)})
	})
}

// List lists secrets.
func (s *server) List(ctx context.Context, p *pb.ListRequest) (*pb.ListResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Lister, can sdk.Capabilities) (*pb.ListResponse, error) {
		r := wire.DecodeList(p)
		if err := wire.AllowList(can, r); err != nil {
			return nil, err
		}
		page, err := g.List(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckPage(r, page); err != nil {
			return nil, err
		}
		return fits("list", wire.EncodePage(page))
	})
}

// Versions lists the versions of one secret.
func (s *server) Versions(ctx context.Context, p *pb.VersionsRequest) (*pb.VersionsResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Versioner, can sdk.Capabilities) (*pb.VersionsResponse, error) {
		r := wire.DecodeVersions(p)
		if err := wire.AllowVersions(can, r); err != nil {
			return nil, err
		}
		page, err := g.Versions(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckVersionsPage(r, page); err != nil {
			return nil, err
		}
		return fits("versions", wire.EncodeVersionsPage(page))
	})
}

// Put writes one secret.
func (s *server) Put(ctx context.Context, p *pb.PutRequest) (*pb.PutResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Putter, can sdk.Capabilities) (*pb.PutResponse, error) {
		r := wire.DecodePut(p)
		if err := wire.AllowPut(can, r); err != nil {
			return nil, err
		}
		result, err := g.Put(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckPutResult(r.Name, result); err != nil {
			return nil, err
		}
		return wire.EncodePutResult(result), nil
	})
}

// Delete removes one secret.
func (s *server) Delete(ctx context.Context, p *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Deleter, can sdk.Capabilities) (*pb.DeleteResponse, error) {
		r := wire.DecodeDelete(p)
		if err := wire.AllowDelete(can, r); err != nil {
			return nil, err
		}
		result, err := g.Delete(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckDeleteResult(r.Name, result); err != nil {
			return nil, err
		}
		return wire.EncodeDeleteResult(result), nil
	})
}

// Restore undoes a delete.
func (s *server) Restore(ctx context.Context, p *pb.RestoreRequest) (*pb.RestoreResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Restorer, can sdk.Capabilities) (*pb.RestoreResponse, error) {
		r := wire.DecodeRestore(p)
		if err := wire.AllowRestore(can, r); err != nil {
			return nil, err
		}
		return &pb.RestoreResponse{}, g.Restore(ctx, r)
	})
}

// Encrypt encrypts with a key of the backend.
func (s *server) Encrypt(ctx context.Context, p *pb.EncryptRequest) (*pb.EncryptResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Encrypter, can sdk.Capabilities) (*pb.EncryptResponse, error) {
		r := wire.DecodeEncrypt(p)
		if err := wire.AllowEncrypt(can, r); err != nil {
			return nil, err
		}
		result, err := g.Encrypt(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckEncryptResult(result, sdk.InvalidArgument); err != nil {
			return nil, err
		}
		return wire.EncodeEncryptResult(result), nil
	})
}

// Decrypt decrypts with a key of the backend.
func (s *server) Decrypt(ctx context.Context, p *pb.DecryptRequest) (*pb.DecryptResponse, error) {
	return call(ctx, s, p.GetStore(), func(ctx context.Context, g sdk.Decrypter, can sdk.Capabilities) (*pb.DecryptResponse, error) {
		r := wire.DecodeDecrypt(p)
		if err := wire.AllowDecrypt(can, r); err != nil {
			return nil, err
		}
		result, err := g.Decrypt(ctx, r)
		if err != nil {
			return nil, err
		}
		if err := wire.CheckDecryptResult(result, sdk.InvalidArgument); err != nil {
			return nil, err
		}
		return wire.EncodeDecryptResult(result), nil
	})
}

// fits refuses an answer that no message can carry. It is InvalidArgument and not ResourceExhausted: nobody throttled, and
// only another request helps.
func fits[M proto.Message](op string, m M) (M, error) {
	if n := proto.Size(m); n > sdk.MaxMessage {
		var none M
		return none, sdk.Errorf(sdk.InvalidArgument, "%s: the answer has %d bytes, over the message limit of %d; ask for smaller pages", op, n, sdk.MaxMessage)
	}
	return m, nil
}
