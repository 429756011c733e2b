package plugin

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	gorunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/internal/peer"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// unixSockets says whether plugins listen on Unix sockets; elsewhere on loopback TCP.
const unixSockets = runtime.GOOS != "windows"

// newClient wires a generation's runner to go-plugin, which does the handshake and makes the connection.
func (g *Generation) newClient(env []string) *goplugin.Client {
	stdout := output.NewLog(g.log.With("stream", "stdout"), g.tail)
	stderr := output.NewLog(g.log, g.tail)
	options := append(dial.Options(), grpc.WithContextDialer(g.conns.dialOnce),
		grpc.WithChainStreamInterceptor(g.conns.note), grpc.WithChainUnaryInterceptor(g.answered), grpc.WithIdleTimeout(0))
	if peer.Known {
		options = append(options, grpc.WithTransportCredentials(peer.New(g.checkPeer)))
	}
	return goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: dial.CookieKey, MagicCookieValue: dial.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{dial.Protocol: {dial.PluginSet: connection{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		AutoMTLS:         !peer.Known,
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       output.NewLines(stdout.Line),
		SyncStderr:       output.NewLines(stderr.Line),
		StartTimeout:     2 * g.startTimeout, // never reached: start has its own, which kills the process
		GRPCDialOptions:  options,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: g.dir.Path()},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, sockets string) (gorunner.Runner, error) {
			var err error
			g.run.sockets = sockets
			g.run.env, err = environment(env, spec.Env)
			return g.run, err
		},
	})
}

// connection is the go-plugin plugin whose client is the bare connection.
type connection struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (connection) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func (connection) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// connect starts the process and waits for its connection.
func (g *Generation) connect(ctx context.Context) (*grpc.ClientConn, error) {
	type result struct {
		conn any
		err  error
	}
	done := make(chan result, 1)
	go func() {
		protocol, err := g.client.Client()
		if err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := protocol.Dispense(dial.PluginSet)
		done <- result{conn, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		g.run.kill() // the one way to end a start: go-plugin's client is locked by it
		<-done
		return nil, ctx.Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	conn, ok := r.conn.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("go-plugin made a %T of the connection", r.conn)
	}
	return conn, nil
}

// checkPeer refuses a socket that another process than the plugin's holds.
func (g *Generation) checkPeer(id peer.Identity) error {
	proc := g.run.process()
	if proc != nil && id.PID == proc.PID() && id.UID == os.Geteuid() {
		return nil
	}
	want := 0
	if proc != nil {
		want = proc.PID()
	}
	return g.run.refuse(fmt.Errorf("%w: its socket is held by process %d of user %d, not by its own, %d", ErrAddress, id.PID, id.UID, want))
}

// conns dials a generation's connection and knows every gRPC connection that go-plugin makes: go-plugin forgets those whose
// plugin died in between.
type conns struct {
	run *runner

	mu     sync.Mutex
	dialed bool
	closed bool
	all    map[*grpc.ClientConn]struct{}
}

// dialOnce dials the plugin, once: a lost connection is the end of its generation.
func (c *conns) dialOnce(ctx context.Context, _ string) (net.Conn, error) {
	c.mu.Lock()
	again := c.dialed
	c.dialed = true
	c.mu.Unlock()
	if again {
		return nil, errDialedTwice
	}
	network, address := c.run.where()
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// note is a stream interceptor that sees the connection of go-plugin's first stream.
func (c *conns) note(ctx context.Context, d *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	c.mu.Lock()
	c.all[conn] = struct{}{}
	closed := c.closed
	c.mu.Unlock()
	if closed {
		_ = conn.Close()
	}
	return next(ctx, d, conn, method, opts...)
}

// close closes every connection, also those to come.
func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.all {
		_ = conn.Close()
	}
}
