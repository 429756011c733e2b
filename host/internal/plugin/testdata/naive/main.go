// Command naive is a plugin as go-plugin's own documentation has it, with nothing done about what the tests show to go wrong
// then.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

func main() {
	if os.Getenv("NAIVE") == "noise" {
		fmt.Println("hello from a dependency")
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: "KEYWAY_PLUGIN", MagicCookieValue: "keyway.plugin.v1"},
		VersionedPlugins: map[int]plugin.PluginSet{1: {"provider": registrar{}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

type registrar struct{ plugin.NetRPCUnsupportedPlugin }

func (registrar) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	pb.RegisterPluginServer(s, server{stdout: os.NewFile(1, "stdout")})
	return nil
}

func (registrar) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, status.Error(codes.Unimplemented, "no client here")
}

type server struct {
	pb.UnimplementedPluginServer
	stdout *os.File
}

// Open opens nothing.
func (server) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) {
	return &pb.OpenResponse{Capabilities: []string{"get"}}, nil
}

// Get does what the name says.
func (s server) Get(ctx context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	switch r.GetName() {
	case "forever":
		fmt.Fprintln(os.Stderr, "a call has begun")
		<-ctx.Done()
		return nil, ctx.Err()
	case "line":
		fmt.Fprintln(s.stdout, strings.Repeat("x", 300<<10))
	}
	return &pb.GetResponse{Secret: &pb.Secret{Value: []byte("v"), Version: "1"}}, nil
}
