// Command client is a host as somebody may have written it for the first state of the contract: it links that state's
// generated code, gRPC, and nothing else of this repository. It starts the plugin that it is given and makes every call that
// the plugin's store claims to take. The settings come on stdin. Each promise that held is a line on stdout.
//
//	client PLUGIN       drive a plugin
//	client call SOCKET  make one call on a socket, as a process that did not start the plugin
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

// patience bounds the whole run; it is only reached by a plugin that hangs.
const patience = time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "call":
		return call(ctx, args[1])
	case len(args) == 1:
		settings, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		return drive(ctx, args[0], settings)
	}
	return errors.New("usage: client PLUGIN < SETTINGS, or client call SOCKET")
}

func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func call(ctx context.Context, socket string) error {
	conn, err := dial(socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = pb.NewPluginClient(conn).Describe(ctx, &pb.DescribeRequest{})
	return err
}

// session is one open store, with what it can do.
type session struct {
	pb.PluginClient
	handle string
	can    []string
}

// promise is something that a plugin keeps if its store has the capability.
type promise struct {
	name  string
	needs string // a capability; empty: none
	keep  func(ctx context.Context, s *session) error
}

func drive(ctx context.Context, plugin string, settings []byte) error {
	p, err := start(ctx, plugin)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer p.stop()
	conn, err := dial(p.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{PluginClient: pb.NewPluginClient(conn), handle: "skew~1"}
	m, err := s.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	fmt.Println("describe", m.GetName())
	opened, err := s.Open(ctx, &pb.OpenRequest{Store: s.handle, Settings: settings})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.can = opened.GetCapabilities()
	for _, x := range promises {
		if x.needs != "" && !slices.Contains(s.can, x.needs) {
			continue
		}
		if err := x.keep(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		fmt.Println(x.name)
	}
	if err := p.turnsStrangersAway(ctx); err != nil {
		return err
	}
	fmt.Println("stranger")
	if err := p.end(ctx); err != nil {
		return err
	}
	fmt.Println("lifeline")
	return nil
}
