package memory

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

// store holds the secrets of one handle.
type store struct {
	aead   cipher.AEAD
	closed chan struct{}

	mu       sync.Mutex
	secrets  map[string]*secret
	watchers map[chan *pb.WatchResponse]bool
}

type secret struct {
	values  [][]byte // version N is at N-1
	deleted bool
}

func newStore(seed map[string]string) *store {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // a cipher of another block size
	}
	st := &store{aead: aead, closed: make(chan struct{}), secrets: map[string]*secret{}, watchers: map[chan *pb.WatchResponse]bool{}}
	for name, v := range seed {
		st.secrets[name] = &secret{values: [][]byte{[]byte(v)}}
	}
	return st
}

// find gives a live secret. Like all methods below it is called with the lock held.
func (st *store) find(name string) (*secret, error) {
	s := st.secrets[name]
	switch {
	case s == nil:
		return nil, fail(codes.NotFound, "%q: no such secret", name)
	case s.deleted:
		return nil, fail(codes.FailedPrecondition, "%q: deleted; it can be restored", name)
	}
	return s, nil
}

func (st *store) get(name, version string) (*pb.Secret, error) {
	s, err := st.find(name)
	if err != nil {
		return nil, err
	}
	n := len(s.values)
	if version != "" {
		if n, err = strconv.Atoi(version); err != nil || n < 1 || n > len(s.values) {
			return nil, fail(codes.NotFound, "%q version %q: no such version", name, version)
		}
	}
	return &pb.Secret{Value: s.values[n-1], Version: strconv.Itoa(n)}, nil
}

func (st *store) result(name string) *pb.GetBatchResponse_Result {
	out, err := st.get(name, "")
	if f, ok := err.(failure); ok { //nolint:errorlint // get wraps nothing
		return &pb.GetBatchResponse_Result{Result: &pb.GetBatchResponse_Result_Error{Error: f.message}}
	}
	return &pb.GetBatchResponse_Result{Result: &pb.GetBatchResponse_Result_Secret{Secret: out}}
}

func (st *store) list(prefix string) *pb.ListResponse {
	out := &pb.ListResponse{}
	for name, s := range st.secrets {
		if strings.HasPrefix(name, prefix) && !s.deleted {
			out.Items = append(out.Items, &pb.Meta{Name: name})
		}
	}
	slices.SortFunc(out.Items, func(a, b *pb.Meta) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

func (st *store) versions(name string) (*pb.VersionsResponse, error) {
	s, err := st.find(name)
	if err != nil {
		return nil, err
	}
	out := &pb.VersionsResponse{}
	for n := len(s.values); n > 0; n-- {
		out.Versions = append(out.Versions, &pb.Version{Version: strconv.Itoa(n), Current: n == len(s.values), State: pb.State_STATE_ENABLED})
	}
	return out, nil
}

func (st *store) put(r *pb.PutRequest) (*pb.PutResponse, error) {
	s := st.secrets[r.GetName()]
	switch p := r.GetPrecondition().(type) {
	case *pb.PutRequest_IfAbsent:
		if s != nil {
			return nil, fail(codes.AlreadyExists, "put %q: it exists", r.GetName())
		}
	case *pb.PutRequest_IfVersion:
		if s == nil || p.IfVersion != strconv.Itoa(len(s.values)) {
			return nil, fail(codes.Aborted, "put %q: version %q is not current", r.GetName(), p.IfVersion)
		}
	}
	if s == nil {
		s = &secret{}
		st.secrets[r.GetName()] = s
	}
	s.values, s.deleted = append(s.values, r.GetValue()), false
	version := strconv.Itoa(len(s.values))
	for w := range st.watchers {
		select {
		case w <- &pb.WatchResponse{Name: r.GetName(), Version: version}:
		default: // it has not read those before
		}
	}
	return &pb.PutResponse{Version: version}, nil
}

func (st *store) remove(r *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	s := st.secrets[r.GetName()]
	if s == nil {
		return nil, fail(codes.NotFound, "delete %q: no such secret", r.GetName())
	}
	if r.GetPurge() {
		delete(st.secrets, r.GetName())
		return &pb.DeleteResponse{}, nil
	}
	s.deleted = true
	return &pb.DeleteResponse{Recoverable: true}, nil
}

func (st *store) restore(name string) (*pb.RestoreResponse, error) {
	s := st.secrets[name]
	if s == nil {
		return nil, fail(codes.NotFound, "restore %q: no such secret", name)
	}
	s.deleted = false
	return &pb.RestoreResponse{}, nil
}

// subscribe gives a channel of events, the first of them empty. Unlike the methods above it takes the lock.
func (st *store) subscribe() chan *pb.WatchResponse {
	st.mu.Lock()
	defer st.mu.Unlock()
	w := make(chan *pb.WatchResponse, 64)
	w <- &pb.WatchResponse{}
	st.watchers[w] = true
	return w
}

func (st *store) unsubscribe(w chan *pb.WatchResponse) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.watchers, w)
}
