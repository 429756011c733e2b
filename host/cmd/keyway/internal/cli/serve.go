package cli

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/listen"
	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/notify"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/sdk"
)

// drainTimeout is how long calls that run when the service is ended may go on.
const drainTimeout = 30 * time.Second

func (a *app) serveCommand() *cobra.Command {
	var where string
	cmd := &cobra.Command{
		Use:   "serve [--listen unix:PATH]",
		Short: "Serve secrets, status and changes on a Unix socket",
		Long: `Opens every store and serves them until it is ended: secrets to gateways, status, plugin swaps
and reloads to operators. Only the user that serves, root, and the members of the listener's
group are let in.

It listens where the configuration says (listeners), else at keyway.sock in $XDG_RUNTIME_DIR, else
beside the configuration. SIGHUP reads the configuration and the lock file anew; a broken one
changes nothing. SIGTERM and SIGINT end it when the calls that run have finished, after 30 s at
most. Under systemd it is Type=notify, with watchdog and socket activation.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&where, "listen", "", "where to listen in place of the configuration's listeners: unix:PATH")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.serve(cmd.Context(), where); err != nil {
			return &failure{err}
		}
		return nil
	}
	return cmd
}

// serve runs the service. The program's own context ends with SIGHUP too, so it is not used.
func (a *app) serve(parent context.Context, where string) error {
	if err := harden(); err != nil {
		return sdk.Errorf(sdk.Internal, "serve: this process cannot be hardened: %w", err)
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	ctx, stop := signal.NotifyContext(context.WithoutCancel(parent), slices.DeleteFunc(endings(), func(s os.Signal) bool { return s == syscall.SIGHUP })...)
	defer stop()
	cfg, err := a.config()
	if err != nil {
		return err
	}
	listeners, err := a.listen(ctx, cfg, where)
	defer closeAll(listeners)
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, a.timeout)
	h, err := a.open(opening, cfg)
	cancel()
	if err != nil {
		return err
	}
	defer a.shut(h)
	s := &service{app: a, host: h, notify: notify.Notifier{Logger: a.logger()}}
	s.server = httpapi.Server(httpapi.Handler(h, httpapi.Options{Version: a.version, Logger: a.logger(), Load: a.config}), a.logger())
	return s.run(ctx, again, listeners)
}

// listen makes the sockets: the service manager's, the one asked for, or the configuration's.
func (a *app) listen(ctx context.Context, cfg *config.Config, where string) (all []*listen.Listener, err error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "serve: the service manager's sockets: %w", err)
	}
	if len(given) > 0 {
		for _, g := range given {
			if g == nil {
				return all, sdk.Errorf(sdk.InvalidArgument, "serve: the service manager hands over what is no socket that listens")
			}
			l, err := listen.Adopt(g, a.logger())
			if err != nil {
				return all, err
			}
			all = append(all, l)
		}
		return all, nil
	}
	wanted, err := listenersOf(cfg, where)
	if err != nil {
		return nil, err
	}
	for _, w := range wanted {
		l, err := listen.Open(ctx, w.Unix, w.Group, a.logger())
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	return all, nil
}

// listenersOf gives the listeners with whole paths.
func listenersOf(cfg *config.Config, where string) ([]config.Listener, error) {
	if where != "" {
		path, ok := strings.CutPrefix(where, "unix:")
		if !ok || path == "" {
			return nil, sdk.Errorf(sdk.InvalidArgument, "serve: --listen takes unix:PATH, not %q", where)
		}
		path, err := filepath.Abs(path)
		return []config.Listener{{Unix: path}}, err
	}
	if len(cfg.Listeners) == 0 {
		return []config.Listener{{Unix: defaultSocket(cfg)}}, nil
	}
	all := slices.Clone(cfg.Listeners)
	for i := range all {
		all[i].Unix = cfg.Abs(all[i].Unix)
	}
	return all, nil
}

const socketName = "keyway.sock"

// defaultSocket is where keyway serve listens, and its clients look, when nobody says where.
func defaultSocket(cfg *config.Config) string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, socketName)
	}
	return cfg.Abs(socketName)
}

func closeAll(listeners []*listen.Listener) {
	for _, l := range listeners {
		_ = l.Close() // the server has closed those that it took
	}
}

// service is a host being served.
type service struct {
	app    *app
	host   *host.Host
	server *http.Server
	notify notify.Notifier
}

// run serves until ctx ends or a listener fails, and reloads whenever it is told to.
func (s *service) run(ctx context.Context, again <-chan os.Signal, listeners []*listen.Listener) error {
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		l.Admit(s.pluginProcesses)
		go func() { ended <- s.server.Serve(l) }()
		s.app.say("serves on %s", l.Addr())
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.notify.Watch(watching, s.alive) })
	defer watch.Wait()
	defer stop()
	s.notify.Ready("serves")
	for {
		select {
		case <-again:
			s.reload(ctx)
		case err := <-ended:
			return errors.Join(sdk.Errorf(sdk.Unavailable, "serve: a listener failed: %w", err), s.server.Close())
		case <-ctx.Done():
			return s.drain(ctx)
		}
	}
}

// drain lets the calls that run finish, within bounds.
func (s *service) drain(ctx context.Context) error {
	s.notify.Stopping()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := s.server.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		s.app.say("calls that did not finish within %v are cut off", drainTimeout)
		return s.server.Close()
	}
	return err
}

// reload changes over to the files as they are now. What is wrong with them is told, and changes nothing.
func (s *service) reload(ctx context.Context) {
	s.notify.Reloading()
	defer s.notify.Ready("serves")
	cfg, err := s.app.config()
	if err == nil {
		err = s.host.Reload(ctx, cfg, func(step host.SwapStep) { s.app.logger().Info("reload", "step", step.Step, "text", step.Text) })
	}
	if err != nil {
		s.app.report(&failure{err})
		s.app.say("reload: nothing was changed")
		return
	}
	s.app.say("reload: done")
}

// pluginProcesses are those that may not connect.
func (s *service) pluginProcesses() map[int]bool {
	pids := map[int]bool{}
	for _, p := range s.host.Plugins() {
		if p.PID > 0 {
			pids[p.PID] = true
		}
	}
	return pids
}

// alive returns unless the host hangs.
func (s *service) alive() {
	_ = s.host.Ready()
	_ = s.host.Plugins()
}
