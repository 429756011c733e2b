// Package memory is a plugin as somebody may have written it for the first state of the contract, without an SDK: it links
// that state's generated code, gRPC, and nothing else of this repository. Its secrets are in its settings and in memory.
package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/keyway-dev/keyway/e2e/skew/first/keyway/plugin/v1"
)

// Plugin is one such program.
type Plugin struct {
	Name string // of the provider; its version is 1.0.0
	// Words are said beside the capabilities of this state, in the manifest and by every store.
	Words []string
	// Manifest holds further fields of what --describe prints.
	Manifest map[string]any
	// Extend changes every message that leaves; nil leaves them alone.
	Extend func(proto.Message)
}

const version = "1.0.0"

const schema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":` +
	`{"secrets":{"type":"object","additionalProperties":{"type":"string"}}}}`

// static are the capabilities of the manifest, which has no refinements.
var static = []string{"get", "get_batch", "stat", "list", "versions", "put", "delete", "restore", "encrypt", "decrypt", "watch"}

// refinements are what each store can do beside.
var refinements = []string{"get.version", "put.if_absent", "put.if_version", "delete.purge", "aad"}

// Main is the program's main.
func (p Plugin) Main() {
	run := p.serve
	if len(os.Args) == 2 && os.Args[1] == "--describe" {
		run = p.describe
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (p Plugin) describe() error {
	m := map[string]any{"name": p.Name, "version": version, "capabilities": append(static, p.Words...), "settings_schema": json.RawMessage(schema)}
	for k, v := range p.Manifest {
		m[k] = v
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// serve shakes hands and serves until stdin ends.
func (p Plugin) serve() error {
	if os.Getenv("KEYWAY_PLUGIN") != "keyway.plugin.v1" {
		return fmt.Errorf("%s: a Keyway host starts this program", p.Name)
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(p.answer), grpc.StreamInterceptor(p.stream))
	pb.RegisterPluginServer(s, &server{plugin: p, stores: map[string]*store{}})
	ended := make(chan error, 2)
	go func() { ended <- s.Serve(hostOnly{l, os.Getppid()}) }()
	fmt.Printf("1|1|unix|%s|grpc\n", socket)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	err = <-ended
	s.Stop()
	return err
}

// hostOnly accepts connections of the process that started this one, and drops others.
type hostOnly struct {
	net.Listener
	host int // process id
}

// Accept waits for the host.
func (l hostOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || peerOf(c, l.host) == l.host {
			return c, err
		}
		fmt.Fprintln(os.Stderr, "a process that is not the host was turned away")
		_ = c.Close()
	}
}

// answer sees every answer, and every failure, of a call.
func (p Plugin) answer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	out, err := handle(ctx, req)
	if err != nil {
		return nil, p.failed(err)
	}
	p.extend(out)
	return out, nil
}

func (p Plugin) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return p.failed(handle(srv, extended{s, p}))
}

func (p Plugin) extend(m any) {
	if m, ok := m.(proto.Message); ok && p.Extend != nil {
		p.Extend(m)
	}
}

type extended struct {
	grpc.ServerStream
	plugin Plugin
}

// SendMsg extends an answer of a stream.
func (s extended) SendMsg(m any) error {
	s.plugin.extend(m)
	return s.ServerStream.SendMsg(m)
}
