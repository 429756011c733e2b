// Floor is the least that a plugin can be: go-plugin, gRPC, and one method that answers at once. What Keyway adds is
// measured against it.
package main

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

type server struct{ pb.UnimplementedPluginServer }

func (server) Get(context.Context, *pb.GetRequest) (*pb.GetResponse, error) {
	return &pb.GetResponse{Secret: &pb.Secret{Value: []byte("sk-0123456789abcdef"), Version: "1"}}, nil
}

type raw struct{ plugin.NetRPCUnsupportedPlugin }

func (raw) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterPluginServer(s, server{})
	return nil
}

func (raw) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "KEYWAY_FLOOR", MagicCookieValue: "1"},
		Plugins:         plugin.PluginSet{"raw": raw{}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}
