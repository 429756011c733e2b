package gcpauth

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// Conn is a connection of one store. It is safe for concurrent use, and it connects and logs in at the first call.
type Conn struct {
	*grpc.ClientConn
	session *session.Session[token] // nil: no login
	quota   string
}

// Connect makes the connection. It sends nothing and reads nothing.
func (s *Settings) Connect(env sdk.Env) (*Conn, error) {
	c := &Conn{quota: s.QuotaProject}
	if s.Auth.None == nil {
		c.session = session.New(s.source(env))
	}
	address, secure := s.address()
	transport := insecure.NewCredentials()
	if secure {
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) { return env.DialContext(ctx, "tcp", a) }),
		grpc.WithDisableServiceConfig(), // attempts are ours: see Repeat
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(c.carry),
		// A service that comes back is found within seconds, and a connection that died in silence is given up.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
	)
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "connect to %s: %w", address, err)
	}
	c.ClientConn = conn
	return c, nil
}

// Options make a client of Google's use the connection, and close it with the client. The client logs nothing: it would log
// values if the environment asked for it.
func (c *Conn) Options() []option.ClientOption {
	return []option.ClientOption{option.WithGRPCConn(c.ClientConn), option.WithTelemetryDisabled(), option.WithLogger(quiet())}
}

// Identity logs in if need be and names whom Google takes us for; empty: it is not known.
func (c *Conn) Identity(ctx context.Context) (string, error) {
	if c.session == nil {
		return "", nil
	}
	l, err := c.session.Lease(ctx)
	if err != nil {
		return "", err
	}
	return l.Token.who, nil
}

// carry sends a call with the login, and once more with a new one if the service does not accept it.
func (c *Conn) carry(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if c.session == nil {
		return next(c.outgoing(ctx, token{}), method, req, reply, cc, opts...)
	}
	l, err := c.session.Lease(ctx)
	if err != nil {
		return err
	}
	err = next(c.outgoing(ctx, l.Token), method, req, reply, cc, opts...)
	if status.Code(err) != codes.Unauthenticated {
		return err
	}
	n, refusal := c.session.Refused(ctx, l)
	switch {
	case refusal != nil:
		return refusal
	case n == l:
		return err
	}
	return next(c.outgoing(ctx, n.Token), method, req, reply, cc, opts...)
}

// outgoing gives the context of a call that carries t.
// https://cloud.google.com/apis/docs/system-parameters
func (c *Conn) outgoing(ctx context.Context, t token) context.Context {
	var pairs []string
	if t.value.Len() > 0 {
		pairs = append(pairs, "authorization", "Bearer "+string(t.value.Reveal())) // the one place where it leaves us
	}
	if c.quota != "" {
		pairs = append(pairs, "x-goog-user-project", c.quota)
	} else if t.quota != "" {
		pairs = append(pairs, "x-goog-user-project", t.quota)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}
