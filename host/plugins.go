package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// running is one provider that serves stores: a supervised process, or a connection that the embedder gave.
type running struct {
	provider string
	process  *plugin.Process // nil for a connection
	fixed    *connection
	manifest sdk.Manifest
}

// Current gives the session of the running plugin.
func (r *running) Current(ctx context.Context) (store.Session, error) {
	if r.fixed != nil {
		return r.fixed, nil
	}
	g, err := r.process.Current(ctx)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// connection is a session that has no process and no end.
type connection struct{ plugin *dial.Plugin }

func (c *connection) Dial() *dial.Plugin    { return c.plugin }
func (c *connection) Number() int           { return 1 }
func (c *connection) Done() <-chan struct{} { return nil }

func (c *connection) Superseded() <-chan struct{} { return nil }
func (c *connection) Dismiss(string)              {}

// Admit lets everything pass: what the embedder serves in its own process is nobody else's to confine.
func (c *connection) Admit(context.Context, string, *sdk.Reach) (bool, error) { return false, nil }

func pluginKey(provider, constraint string) string { return provider + "\x00" + constraint }

func (h *Host) pluginOf(c config.Store) *running { return h.plugins[pluginKey(c.Provider, c.Version)] }

// startPlugins finds and starts, side by side, every plugin that a store needs. All that fail are reported.
func (h *Host) startPlugins(ctx context.Context, o options) error {
	catalog := plugin.NewCatalog(plugin.Options{Dir: h.cfg.PluginDir(), RunDir: o.runDir, Logger: o.logger, Env: o.pluginEnv})
	var mu sync.Mutex
	var problems []config.Problem
	var wg sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(h.cfg.Stores)) {
		c := h.cfg.Stores[name]
		k := pluginKey(c.Provider, c.Version)
		if h.plugins[k] != nil {
			continue
		}
		r := &running{provider: c.Provider}
		h.plugins[k] = r
		if conn, ok := o.providers[c.Provider]; ok {
			r.fixed = &connection{dial.New(conn)}
		} else {
			b, err := catalog.Find(c.Provider, c.Version)
			if err != nil {
				problems = append(problems, h.cfg.Problem(config.Path("stores", name, "provider"), "%v", err))
				continue
			}
			r.process = catalog.Supervise(b)
		}
		wg.Go(func() {
			if err := r.introduce(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, h.cfg.Problem(config.Path("stores", name, "provider"), "%v", err))
			}
		})
	}
	wg.Wait()
	return config.NewError(problems...)
}

// introduce starts the plugin and learns its manifest.
func (r *running) introduce(ctx context.Context) error {
	if r.fixed != nil {
		m, err := r.fixed.plugin.Describe(ctx)
		if err == nil && m.Name != r.provider {
			err = sdk.Errorf(sdk.InvalidArgument, "the connection given for provider %q is one of %q", r.provider, m.Name)
		}
		r.manifest = m
		return err
	}
	g, err := r.process.Current(ctx)
	if err != nil {
		return err
	}
	r.manifest = g.Manifest()
	return nil
}

// checkSettings holds every store's settings against its plugin's schema, in one report.
func (h *Host) checkSettings() error {
	var problems []config.Problem
	for name, c := range h.cfg.Stores {
		problems = append(problems, h.cfg.CheckSettings(name, h.pluginOf(c).manifest)...)
	}
	return config.NewError(problems...)
}

// openStores opens every store. What its settings lack is a problem of the configuration; an unreachable backend or an
// unreachable source of a setting is not, and is tried again on the store's next use.
func (h *Host) openStores(ctx context.Context) error {
	var mu sync.Mutex
	var problems []config.Problem
	var refused []error
	var wg sync.WaitGroup
	for _, m := range h.members {
		h.spawn(func(ctx context.Context) { m.reopenLoop(ctx, h) })
		wg.Go(func() {
			found, err := h.openStore(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, found...)
			if err != nil {
				refused = append(refused, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(config.NewError(problems...), errors.Join(refused...))
}

// openStore opens one store and, if it is required, asks its backend. Faults of the settings are problems; a refusal by
// the backend of a required store is an error.
func (h *Host) openStore(ctx context.Context, m *member) (problems []config.Problem, refused error) {
	_, err := m.store.Can(ctx)
	if err == nil && m.cfg.Required {
		_, err = m.store.Check(ctx)
		m.ready.Store(err == nil)
		if err != nil && !Retryable(err) {
			return nil, err
		}
	}
	switch {
	case err == nil:
	case Retryable(err):
		h.log.Warn("store is not ready; it is tried again", "store", m.name, "code", sdk.CodeOf(err).String(), "error", err)
		if m.cfg.Required {
			h.spawn(func(ctx context.Context) { h.await(ctx, m) })
		}
	default:
		return h.settingsProblems(m, err), nil
	}
	return nil, nil
}

// settingsProblems places the faults that a plugin found in the settings of a store.
func (h *Host) settingsProblems(m *member, err error) []config.Problem {
	e, ok := asError(rootOf(err))
	if !ok || len(e.Problems) == 0 {
		return []config.Problem{h.cfg.Problem(config.Path("stores", m.name, "settings"), "%v", err)}
	}
	var out []config.Problem
	for _, p := range e.Problems {
		out = append(out, h.cfg.Problem(config.SettingsPath(m.name, p.Path), "%s", p.Message))
	}
	return out
}

// rootOf gives the innermost *sdk.Error with problems, since wrapping does not carry them along.
func rootOf(err error) error {
	for {
		e, ok := asError(err)
		if !ok || len(e.Problems) > 0 {
			return err
		}
		inner := e.Unwrap()
		if len(inner) < 2 {
			return err
		}
		if err = errors.Unwrap(inner[1]); err == nil {
			return inner[1]
		}
	}
}

// await asks a required store until it answers.
func (h *Host) await(ctx context.Context, m *member) {
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, 15*time.Second) {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		if _, err := m.store.Check(ctx); err == nil {
			m.ready.Store(true)
			h.log.Info("store is ready", "store", m.name)
			return
		}
	}
}

func storeNames(members map[string]*member) string {
	if len(members) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(members)), ", ")
}
