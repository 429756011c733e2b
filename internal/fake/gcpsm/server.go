// Package gcpsm is a Secret Manager for tests: Google's generated gRPC server in front of secrets in memory. What it answers
// is what the service's reference says, and where that is silent what recordings of the real service hold, which e2e/gcp-sm
// replays against it.
//
// https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1
package gcpsm

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// Server holds the secrets of one project, which calls name by its id or its number and answers by its number. All methods
// are safe for concurrent use.
type Server struct {
	smpb.UnimplementedSecretManagerServiceServer

	// Faults are what the next requests meet. WrongCRC damages the checksum of an answer.
	Faults fault.Injector

	id, number, location string

	mu      sync.Mutex
	secrets map[string]*secret // by id
	denied  map[string]bool    // "permission id"
	accept  func(token string) bool
	before  func(method string)
	etags   int
	lag     int // versions by which "latest" is behind
	calls   []Call
}

// Call is one request that reached the server, whatever became of it.
type Call struct {
	Method string // "AccessSecretVersion"
	Token  string // of its authorization, without "Bearer "
	Quota  string // project that the request counts against
}

// New makes a server of a project without secrets that accepts everybody. A location makes it the regional endpoint there.
func New(id, number, location string) *Server {
	return &Server{id: id, number: number, location: location, secrets: map[string]*secret{}, denied: map[string]bool{},
		accept: func(string) bool { return true }, before: func(string) {}}
}

// Listen serves on loopback until the test ends.
func (s *Server) Listen(t testing.TB, more ...grpc.ServerOption) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Serve(l, more...))
	return l.Addr().String()
}

// Serve serves on l, with more options such as credentials, until stop is called, which closes l and every connection.
func (s *Server) Serve(l net.Listener, more ...grpc.ServerOption) (stop func()) {
	g := grpc.NewServer(append(more, grpc.ChainUnaryInterceptor(s.enter, s.Faults.Unary()))...)
	smpb.RegisterSecretManagerServiceServer(g, s)
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

// Deny takes a permission on a secret from everybody; an empty id is the project.
func (s *Server) Deny(permission, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[permission+" "+id] = true
}

// Before calls f at the beginning of each request, with its method, outside of any lock.
func (s *Server) Before(f func(method string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Calls gives the requests so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// enter keeps the request for Calls, before anything may go wrong with it, and refuses what no login carries as Google's
// front end does.
// https://cloud.google.com/apis/design/errors#error_info
func (s *Server) enter(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c := Call{
		Method: info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:],
		Token:  strings.TrimPrefix(strings.Join(md.Get("authorization"), ","), "Bearer "),
		Quota:  strings.Join(md.Get("x-goog-user-project"), ","),
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	accept, before := s.accept, s.before
	s.mu.Unlock()
	before(c.Method)
	if len(md.Get("x-goog-request-params")) == 0 {
		return nil, status.Error(codes.InvalidArgument, "the routing header x-goog-request-params is missing")
	}
	if !accept(c.Token) {
		st, err := status.New(codes.Unauthenticated, "Request had invalid authentication credentials.").
			WithDetails(&errdetails.ErrorInfo{Reason: "ACCESS_TOKEN_EXPIRED", Domain: "googleapis.com"})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
	return next(ctx, req)
}

// may refuses what the caller has no permission for. A secret that does not exist is refused likewise.
// https://cloud.google.com/secret-manager/docs/troubleshooting
func (s *Server) may(permission, id string) error {
	if !s.denied[permission+" "+id] && !s.denied[permission+" "] {
		return nil
	}
	resource := s.parent()
	if id != "" {
		resource += "/secrets/" + id
	}
	st, err := status.Newf(codes.PermissionDenied, "Permission '%s' denied for resource '%s' (or it may not exist).", permission, resource).
		WithDetails(&errdetails.ErrorInfo{Reason: "IAM_PERMISSION_DENIED", Domain: "iam.googleapis.com", Metadata: map[string]string{"permission": permission}})
	if err != nil {
		return err
	}
	return st.Err()
}

// TestIamPermissions needs no permission. A secret that does not exist gives nobody any.
func (s *Server) TestIamPermissions(_ context.Context, r *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, err := s.parse(r.GetResource())
	if err != nil {
		return nil, err
	}
	out := &iampb.TestIamPermissionsResponse{}
	for _, p := range r.GetPermissions() {
		if s.secrets[id] != nil && s.may(p, id) == nil {
			out.Permissions = append(out.Permissions, p)
		}
	}
	return out, nil
}

// parent is the resource that secrets are in, as answers name it.
func (s *Server) parent() string {
	if s.location != "" {
		return "projects/" + s.number + "/locations/" + s.location
	}
	return "projects/" + s.number
}

// parse takes "PARENT", "PARENT/secrets/ID" or "PARENT/secrets/ID/versions/VERSION" apart.
func (s *Server) parse(resource string) (id, version string, err error) {
	parts := strings.Split(resource, "/")
	if len(parts) < 2 || len(parts)%2 != 0 || parts[0] != "projects" {
		return "", "", status.Errorf(codes.InvalidArgument, "Invalid resource name [%s].", resource)
	}
	if parts[1] != s.id && parts[1] != s.number {
		return "", "", status.Errorf(codes.PermissionDenied, "Permission denied on resource project %s (or it may not exist).", parts[1])
	}
	at := ""
	for i := 2; i < len(parts); i += 2 {
		switch parts[i] {
		case "locations":
			at = parts[i+1]
		case "secrets":
			id = parts[i+1]
		case "versions":
			version = parts[i+1]
		default:
			return "", "", status.Errorf(codes.InvalidArgument, "Invalid resource name [%s].", resource)
		}
	}
	if at != s.location {
		return "", "", status.Errorf(codes.InvalidArgument, "The location of [%s] is not that of the endpoint.", resource)
	}
	return id, version, nil
}
