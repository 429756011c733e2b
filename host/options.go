package host

import (
	"log/slog"
	"os"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/host/audit"
)

type options struct {
	logger    *slog.Logger
	providers map[string]grpc.ClientConnInterface
	environ   func(string) (string, bool)
	pluginEnv []string
	runDir    string
	openStore int
	audit     audit.Sink
}

// Option changes how [Open] opens a host.
type Option func(*options)

// WithLogger has the host log to l; without it nothing is logged.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithProvider serves the stores of a provider over conn in place of a plugin's process: tests, and a gateway's own store.
// serve.Pipe gives such a connection for a provider in this process. It is the caller's to close, after the host.
func WithProvider(name string, conn grpc.ClientConnInterface) Option {
	return func(o *options) { o.providers[name] = conn }
}

// WithEnviron gives what secret://env and os.environ read, in place of the process's environment.
func WithEnviron(lookup func(name string) (string, bool)) Option {
	return func(o *options) { o.environ = lookup }
}

// WithPluginEnv adds "NAME=value" entries to the environment of every plugin, which is otherwise empty but for what the
// contract gives: AWS_REGION, say, for a store that uses the ambient identity.
func WithPluginEnv(entries ...string) Option {
	return func(o *options) { o.pluginEnv = append(o.pluginEnv, entries...) }
}

// WithRunDir has the plugins' sockets made under dir, which must be private to this user and short: at most 57 bytes (53
// on macOS). Without it they are made under the system's folder for temporary files.
func WithRunDir(dir string) Option { return func(o *options) { o.runDir = dir } }

// WithOpenStores bounds how many stores of one provider stay open at a time, 512 without it. Stores beyond are closed,
// least recently used first, and open again on their next use.
func WithOpenStores(n int) Option { return func(o *options) { o.openStore = n } }

func newOptions(opts []Option) options {
	o := options{logger: slog.New(slog.DiscardHandler), providers: map[string]grpc.ClientConnInterface{}, environ: os.LookupEnv}
	for _, f := range opts {
		f(&o)
	}
	return o
}
