// Command liar is a plugin without an SDK, which breaks the rules that the SDK keeps for every plugin. Its stamp says how.
// It calls itself "bank" and has no secret manager behind it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// stamp is a variable so that it is read when the program runs, not when it is compiled.
var stamp = kinds.Unstamped

func main() {
	l := liar{}
	l.kind, _, l.version = stamp.Read()
	switch {
	case len(os.Args) == 1:
		check(l.serve())
	case l.kind == kinds.DescribeHangs:
		<-time.After(time.Hour) // longer than any test; without a timer Go would end it as a deadlock
	default:
		check(l.describe())
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// liar answers the contract's calls.
type liar struct {
	pb.UnimplementedPluginServer
	kind    kinds.Kind
	version string
}

// serve shakes hands and serves until the host's end of stdin closes.
func (l liar) serve() error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "plugin.sock")
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	pb.RegisterPluginServer(s, l)
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(listener) }()
	fmt.Printf("1|%d|unix|%s|grpc\n", l.contract(), socket)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err = <-failed:
	case <-ended:
	}
	s.Stop()
	return err
}

// contract is the version that the handshake claims.
func (l liar) contract() int {
	switch l.kind {
	case kinds.OldContract:
		return 0
	case kinds.FutureContract:
		return 2
	}
	return 1
}

// schema is that of the settings; they are those of the honest provider.
func (l liar) schema() string {
	const honest = `{"type":"object","properties":{"address":{"type":"string"},"token":{"type":"string","writeOnly":true}}}`
	switch l.kind {
	case kinds.HugeSchema:
		return `{"type":"object","description":"` + strings.Repeat("x", 5_000_000) + `"}`
	case kinds.RemoteSchema:
		return `{"$ref":"https://schemas.example/bank.json"}`
	}
	return honest
}

var capabilities = []string{"get", "list", "put", "delete"}

func (l liar) describe() error {
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"name": "bank", "version": l.version, "capabilities": capabilities,
		"settings_schema": json.RawMessage(l.schema())})
}

// Describe introduces it, not always as --describe does.
func (l liar) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	out := &pb.DescribeResponse{Name: "bank", Version: l.version, Capabilities: capabilities, SettingsSchema: l.schema()}
	switch l.kind {
	case kinds.DescribeCrashes:
		panic("nil manifest")
	case kinds.OtherNameLive:
		out.Name = "thief"
	}
	return out, nil
}

// Open opens anything.
func (l liar) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) {
	return &pb.OpenResponse{Capabilities: append(capabilities, "put.if_absent", "put.if_version"), Reach: &pb.Reach{}}, nil
}

// Check is content.
func (l liar) Check(context.Context, *pb.CheckRequest) (*pb.CheckResponse, error) {
	return &pb.CheckResponse{Identity: "customer"}, nil
}

// Close has nothing to close.
func (l liar) Close(context.Context, *pb.CloseRequest) (*pb.CloseResponse, error) {
	return &pb.CloseResponse{}, nil
}

const tooLarge = 2 << 20 // bytes, twice what a value may have

// Get answers what no plugin may.
func (l liar) Get(_ context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	switch l.kind {
	case kinds.Big:
		return &pb.GetResponse{Secret: &pb.Secret{Value: bytes.Repeat([]byte("x"), tooLarge), Version: "1"}}, nil
	case kinds.Empty:
		return &pb.GetResponse{Secret: &pb.Secret{Version: "1"}}, nil
	}
	return nil, status.Errorf(codes.NotFound, "get %q: no such secret", r.GetName())
}
