package sdktest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

// exitTimeout is how long a plugin may take to end once its stdin has: the contract's 2 s, and room for a busy machine.
const exitTimeout = 10 * time.Second

// Start runs a plugin as a process of its own, over the same handshake and wire as a host, and stops it when the test
// ends. args are for a plugin that an interpreter runs. The process gets a private directory for its socket and an
// environment with no more than PATH and what the handshake needs. A plugin that does not start, or does not end soon
// after its stdin does, fails the test; then what it wrote last to stderr is shown.
func Start(t testing.TB, binary string, args ...string) *dial.Plugin {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw") // not t.TempDir, whose path may be longer than a socket's may (104 bytes)
	if err != nil {
		t.Fatalf("start %s: %v", binary, err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// The process ends with its stdin, not with a context: a test whose context ends still wants it to close its stores.
	p := newProcess(exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...))
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{wire.Protocol: {}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: dir},
		GRPCDialOptions:  dial.Options(),
		Logger:           hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
			return p, p.prepare(spec.Env)
		},
	})
	t.Cleanup(func() {
		p.stop(t)
		client.Kill() // the process has ended; this closes the connection
		if t.Failed() {
			t.Logf("%s wrote to stderr:\n%s", binary, p.stderr.String())
		}
	})
	protocol, err := client.Client()
	if err != nil {
		t.Fatalf("start %s: %v", binary, err)
	}
	grpc, ok := protocol.(*plugin.GRPCClient)
	if !ok {
		t.Fatalf("start %s: the plugin does not speak gRPC", binary)
	}
	return dial.New(grpc.Conn)
}
