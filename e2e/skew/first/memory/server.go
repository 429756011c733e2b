package memory

import (
	"context"
	"encoding/json"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

// server answers the contract's calls. A call without a method here is Unimplemented by itself.
type server struct {
	pb.UnimplementedPluginServer
	plugin Plugin

	mu     sync.Mutex
	stores map[string]*store
}

// Describe introduces the plugin.
func (s *server) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return &pb.DescribeResponse{Name: s.plugin.Name, Version: version, Capabilities: append(static, s.plugin.Words...), SettingsSchema: schema}, nil
}

// Open makes a store of the secrets in the settings.
func (s *server) Open(_ context.Context, r *pb.OpenRequest) (*pb.OpenResponse, error) {
	var settings struct{ Secrets map[string]string }
	if err := json.Unmarshal(r.GetSettings(), &settings); err != nil {
		return nil, fail(codes.InvalidArgument, "open %q: settings are no JSON object", r.GetStore())
	}
	st := newStore(settings.Secrets)
	s.mu.Lock()
	s.stores[r.GetStore()] = st
	s.mu.Unlock()
	words := append(append(static, refinements...), s.plugin.Words...)
	return &pb.OpenResponse{Capabilities: words, Reach: &pb.Reach{}}, nil
}

// Close forgets a store.
func (s *server) Close(_ context.Context, r *pb.CloseRequest) (*pb.CloseResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stores[r.GetStore()]; st != nil {
		close(st.closed)
		delete(s.stores, r.GetStore())
	}
	return &pb.CloseResponse{}, nil
}

func (s *server) store(handle string) (*store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stores[handle]; st != nil {
		return st, nil
	}
	return nil, failure{&pb.Error{Code: int32(codes.FailedPrecondition), Message: "store is not open", UnknownStore: true}}
}

// on runs f on an open store.
func on[R any](s *server, handle string, f func(*store) (R, error)) (R, error) {
	st, err := s.store(handle)
	if err != nil {
		var none R
		return none, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return f(st)
}

// Check is content.
func (s *server) Check(_ context.Context, r *pb.CheckRequest) (*pb.CheckResponse, error) {
	return on(s, r.GetStore(), func(*store) (*pb.CheckResponse, error) { return &pb.CheckResponse{Identity: "memory"}, nil })
}

// Get reads.
func (s *server) Get(_ context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.GetResponse, error) {
		out, err := st.get(r.GetName(), r.GetVersion())
		return &pb.GetResponse{Secret: out}, err
	})
}

// GetBatch reads many.
func (s *server) GetBatch(_ context.Context, r *pb.GetBatchRequest) (*pb.GetBatchResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.GetBatchResponse, error) {
		out := &pb.GetBatchResponse{}
		for _, name := range r.GetNames() {
			out.Results = append(out.Results, st.result(name))
		}
		return out, nil
	})
}

// Stat tells about one.
func (s *server) Stat(_ context.Context, r *pb.StatRequest) (*pb.StatResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.StatResponse, error) {
		now, err := st.get(r.GetName(), "")
		return &pb.StatResponse{Meta: &pb.Meta{Name: r.GetName(), Version: now.GetVersion()}}, err
	})
}

// List lists, on one page.
func (s *server) List(_ context.Context, r *pb.ListRequest) (*pb.ListResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.ListResponse, error) { return st.list(r.GetPrefix()), nil })
}

// Versions lists versions, on one page.
func (s *server) Versions(_ context.Context, r *pb.VersionsRequest) (*pb.VersionsResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.VersionsResponse, error) { return st.versions(r.GetName()) })
}

// Put writes.
func (s *server) Put(_ context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.PutResponse, error) { return st.put(r) })
}

// Delete hides a secret until Restore, or purges it.
func (s *server) Delete(_ context.Context, r *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.DeleteResponse, error) { return st.remove(r) })
}

// Restore shows a hidden secret again.
func (s *server) Restore(_ context.Context, r *pb.RestoreRequest) (*pb.RestoreResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.RestoreResponse, error) { return st.restore(r.GetName()) })
}

// Encrypt encrypts with the store's only key.
func (s *server) Encrypt(_ context.Context, r *pb.EncryptRequest) (*pb.EncryptResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.EncryptResponse, error) {
		return &pb.EncryptResponse{Ciphertext: st.aead.Seal(nil, nil, r.GetPlaintext(), r.GetAad()), Key: "main"}, nil
	})
}

// Decrypt undoes Encrypt.
func (s *server) Decrypt(_ context.Context, r *pb.DecryptRequest) (*pb.DecryptResponse, error) {
	return on(s, r.GetStore(), func(st *store) (*pb.DecryptResponse, error) {
		plain, err := st.aead.Open(nil, nil, r.GetCiphertext(), r.GetAad())
		if err != nil {
			return nil, fail(codes.InvalidArgument, "decrypt: not a ciphertext of this key")
		}
		return &pb.DecryptResponse{Plaintext: plain, Key: "main"}, nil
	})
}

// Watch tells of every write.
func (s *server) Watch(r *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	st, err := s.store(r.GetStore())
	if err != nil {
		return err
	}
	events := st.subscribe()
	defer st.unsubscribe(events)
	for {
		select {
		case e := <-events:
			if err := stream.Send(e); err != nil {
				return err
			}
		case <-st.closed:
			return nil
		case <-stream.Context().Done():
			return nil
		}
	}
}
