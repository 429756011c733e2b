// Package serve is the plugin's side of the wire: it makes a program, or a server in memory, of an [sdk.Plugin].
package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/internal/peer"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
	"github.com/keyway-dev/keyway/sdk/serve/internal/dialsocket"
	"github.com/keyway-dev/keyway/sdk/serve/internal/early"
)

// Main is the whole main of a plugin. It does not return.
//
// Started by a host it serves p until stdin, which the host holds open, ends; then it closes the stores and exits 0. It
// ignores SIGTERM, SIGINT, SIGHUP and SIGPIPE until then: the host decides when a plugin ends. With --describe it prints
// the manifest as JSON, with --version its version; started in any other way it says how to use it and exits 1.
//
// What a provider prints goes to the host's log, as does what it logs with [log/slog] or [sdk.Env].
func Main(p *sdk.Plugin) {
	switch args := os.Args[1:]; {
	case len(args) == 1 && args[0] == "--describe":
		os.Exit(describe(p.Manifest()))
	case len(args) == 1 && args[0] == "--version":
		m := p.Manifest()
		os.Exit(write(stdout(), fmt.Sprintf("%s %s (%s)\n", m.Name, m.Version, m.SDK)))
	case len(args) > 0 || os.Getenv(wire.CookieKey) != wire.CookieValue:
		m := p.Manifest()
		_, _ = fmt.Fprintf(os.Stderr, usage, m.Name, m.Version, m.Summary)
		os.Exit(1)
	}
	serve(p)
	os.Exit(0)
}

const usage = `%s %s: %s

This is a Keyway plugin. A Keyway host starts it; it does nothing by itself.

  --describe   print what it is and which settings it takes, as JSON
  --version    print its version
`

func describe(m sdk.Manifest) int {
	out, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return write(stdout(), string(out)+"\n")
}

func write(w io.Writer, text string) int {
	if _, err := io.WriteString(w, text); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// stdout is the real one, wherever it went.
func stdout() *os.File {
	if early.Stdout < 0 {
		return os.Stdout
	}
	return os.NewFile(uintptr(early.Stdout), "stdout")
}

func serve(p *sdk.Plugin) {
	stderr := os.Stderr // go-plugin puts a pipe in its place
	name := p.Manifest().Name
	log := newLogger(stderr, parseLevel(os.Getenv(levelVariable)), name)
	slog.SetDefault(log)
	creds, err := hostOnly()
	if err != nil {
		log.Error("cannot serve", "error", err)
		os.Exit(1)
	}
	if err := harden(name); err != nil {
		log.Warn("the process is as open to its user as any other", "error", err)
	}
	s := newServer(p, log)
	socket, brokered := dialsocket.Open()
	if brokered {
		s.dialThrough(socket.DialContext)
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	go untilEOF(stdin(), func() {
		s.shutdown()
		os.Exit(0)
	})
	os.Stdout = stdout()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{wire.Protocol: {wire.PluginSet: &registrar{server: s}}},
		Logger:           hclog.New(&hclog.LoggerOptions{Name: name, Level: hclog.Warn, Output: stderr, JSONFormat: true}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server { // called when the listener exists
			if err := settle(brokered); err != nil {
				log.Warn("the process keeps the system calls of its start", "error", err)
			}
			return grpc.NewServer(append(append(opts, serverOptions()...), creds...)...)
		},
	})
	s.shutdown()
}

// hostOnly lets nobody but the process that started us connect. With go-plugin's AutoMTLS the host's certificate does
// that; without it the kernel must.
func hostOnly() ([]grpc.ServerOption, error) {
	switch {
	case os.Getenv("PLUGIN_CLIENT_CERT") != "":
		return nil, nil
	case !peer.Known:
		return nil, sdk.Errorf(sdk.Unimplemented, "this system does not tell who connects to a socket; the host must use AutoMTLS")
	}
	host := peer.Identity{PID: os.Getppid(), UID: os.Getuid()}
	return []grpc.ServerOption{grpc.Creds(peer.New(func(id peer.Identity) error {
		if id != host {
			return fmt.Errorf("process %d of user %d is not the host, process %d of user %d", id.PID, id.UID, host.PID, host.UID)
		}
		return nil
	}))}, nil
}

// untilEOF calls end when the reader ends: the host is gone, or wants us to go.
func untilEOF(r io.Reader, end func()) {
	_, _ = io.Copy(io.Discard, r)
	end()
}

// shutdown closes the stores, within what a host waits for.
func (s *server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), freeBound)
	defer cancel()
	s.stores.closeAll(ctx)
}

// registrar puts the contract's service into go-plugin's server.
type registrar struct {
	plugin.NetRPCUnsupportedPlugin
	server *server
}

// GRPCServer registers the service.
func (r *registrar) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	pb.RegisterPluginServer(g, r.server)
	return nil
}

// GRPCClient is the host's side, which go-plugin asks for in one type; nobody calls it here.
func (r *registrar) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, sdk.Errorf(sdk.Unimplemented, "the plugin's side has no client")
}
