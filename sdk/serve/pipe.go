package serve

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Pipe serves p in memory, over the same wire with the same limits, for tests and for providers inside the host's own
// process. It logs to [slog.Default]. stop closes the stores, which gets 2 s, and the connection; it may be called again.
func Pipe(p *sdk.Plugin) (conn grpc.ClientConnInterface, stop func()) {
	const buffer = 256 << 10
	s := newServer(p, slog.Default())
	g := grpc.NewServer(serverOptions()...)
	pb.RegisterPluginServer(g, s)
	listener := bufconn.Listen(buffer)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(listener) // it ends by Stop
	}()
	opts := append(wire.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // memory has nobody between
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	cc, err := grpc.NewClient("passthrough:///"+p.Manifest().Name, opts...)
	if err != nil {
		panic("serve.Pipe: " + err.Error()) // only wrong options make it fail
	}
	return cc, sync.OnceFunc(func() {
		s.shutdown()
		_ = cc.Close()
		g.Stop()
		<-served
	})
}
