// Package gcpkms is a Cloud Key Management Service for tests: Google's generated gRPC server in front of keys in memory. What
// it answers is what the service's reference says, and where that is silent what recordings of the real service hold, which
// e2e/gcp-kms replays against it.
//
// https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1
package gcpkms

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// Permissions of the two calls.
const (
	UseToEncrypt = "cloudkms.cryptoKeyVersions.useToEncrypt"
	UseToDecrypt = "cloudkms.cryptoKeyVersions.useToDecrypt"
)

// Server holds keys. All methods are safe for concurrent use.
type Server struct {
	kmspb.UnimplementedKeyManagementServiceServer
	iampb.UnimplementedIAMPolicyServer

	// Faults are what the next requests meet. WrongCRC damages the checksum of an answer.
	Faults fault.Injector

	mu     sync.Mutex
	keys   map[string]*key
	denied map[string]bool // "permission key"
	accept func(token string) bool
	lost   int // answers to come that deny having seen a checksum
	calls  []Call
}

// Call is one request that reached the server, whatever became of it.
type Call struct {
	Method string // "Decrypt"
	Token  string // of its authorization, without "Bearer "
}

// New makes a server without keys that accepts everybody.
func New() *Server {
	return &Server{keys: map[string]*key{}, denied: map[string]bool{}, accept: func(string) bool { return true }}
}

// Start serves on loopback, without TLS, until the test ends. It gives the server and its "host:port".
func Start(t testing.TB) (s *Server, address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = New()
	t.Cleanup(s.Serve(l))
	return s, l.Addr().String()
}

// Serve serves on l, with more options such as credentials, until stop is called, which closes l and every connection.
func (s *Server) Serve(l net.Listener, more ...grpc.ServerOption) (stop func()) {
	g := grpc.NewServer(append(more, grpc.ChainUnaryInterceptor(s.note, s.Faults.Unary(), s.authenticate))...)
	kmspb.RegisterKeyManagementServiceServer(g, s)
	iampb.RegisterIAMPolicyServer(g, s)
	var done sync.WaitGroup
	done.Go(func() { _ = g.Serve(l) })
	return func() {
		g.Stop()
		done.Wait()
	}
}

// Accept decides which access tokens are good from now on.
func (s *Server) Accept(good func(token string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accept = good
}

// Deny takes a permission on a key from everybody, and Allow gives it back.
func (s *Server) Deny(permission, key string) { s.permit(permission, key, false) }

// Allow undoes Deny.
func (s *Server) Allow(permission, key string) { s.permit(permission, key, true) }

func (s *Server) permit(permission, key string, allowed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[permission+" "+key] = !allowed
}

// LoseChecksums makes the next n answers say that no checksum arrived with the request.
func (s *Server) LoseChecksums(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = n
}

// Calls gives the requests so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// note keeps the request for Calls, before anything may go wrong with it.
func (s *Server) note(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	s.calls = append(s.calls, Call{Method: info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:], Token: token(ctx)})
	s.mu.Unlock()
	return next(ctx, req)
}

// authenticate answers as Google's front end does.
// https://cloud.google.com/apis/design/errors#error_info
func (s *Server) authenticate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	accept := s.accept
	s.mu.Unlock()
	if t := token(ctx); !accept(t) {
		reason := "ACCESS_TOKEN_EXPIRED"
		if t == "" {
			reason = "CREDENTIALS_MISSING"
		}
		return nil, refuse(codes.Unauthenticated, "Request had invalid authentication credentials.",
			&errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com", Metadata: map[string]string{"service": "cloudkms.googleapis.com"}})
	}
	return next(ctx, req)
}

func token(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.TrimPrefix(strings.Join(md.Get("authorization"), ","), "Bearer ")
}

// TestIamPermissions needs no permission. A key that does not exist gives nobody any.
// https://cloud.google.com/kms/docs/reference/rpc/google.iam.v1
func (s *Server) TestIamPermissions(_ context.Context, r *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &iampb.TestIamPermissionsResponse{}
	for _, p := range r.GetPermissions() {
		if s.keys[r.GetResource()] != nil && !s.denied[p+" "+r.GetResource()] {
			out.Permissions = append(out.Permissions, p)
		}
	}
	return out, nil
}

// refuse makes a status with a detail.
func refuse(code codes.Code, message string, detail protoadapt.MessageV1) error {
	st := status.New(code, message)
	if with, err := st.WithDetails(detail); err == nil {
		st = with
	}
	return st.Err()
}
