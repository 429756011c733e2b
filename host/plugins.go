package host

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// running is one plugin that serves stores: a supervised process, or a connection that the embedder gave.
type running struct {
	provider string
	cell     plugin.Cell
	process  *plugin.Process // nil for a connection
	fixed    *connection
	manifest sdk.Manifest           // once introduced
	schema   *config.SettingsSchema // of the manifest
	kept     atomic.Int64           // trials that may go back to it
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

// fleet holds the plugins of a host. Stores of one provider and version share one, unless their configuration isolates
// them.
type fleet struct {
	catalog *plugin.Catalog
	given   map[string]grpc.ClientConnInterface // connections by provider, from the embedder

	mu  sync.Mutex
	all []*running
}

// cellOf is the cell of a store's plugin.
func cellOf(name string, c config.Store) plugin.Cell {
	switch c.Isolation {
	case "dedicated":
		return plugin.Cell{Kind: plugin.Dedicated, Store: name}
	case "team":
		return plugin.Cell{Kind: plugin.Team}
	}
	return plugin.Cell{Kind: plugin.Shared}
}

// plugins gives those that run or ran, in a stable order.
func (f *fleet) plugins() []*running {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// adopt adds a plugin that has begun to serve.
func (f *fleet) adopt(r *running) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, r)
}

// idle takes the processes that serve none of the members, and that no trial keeps, out of the fleet.
func (f *fleet) idle(members map[string]*member) (out []*running) {
	serving := map[*running]bool{}
	for _, m := range members {
		serving[m.plugin.Load()] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = slices.DeleteFunc(f.all, func(r *running) bool {
		if serving[r] || r.process == nil || r.kept.Load() > 0 {
			return false
		}
		out = append(out, r)
		return true
	})
	return out
}

// narrow has each process forget what stores needed that it serves no more, unless a trial may go back to it.
func (f *fleet) narrow(members map[string]*member) {
	for _, r := range f.plugins() {
		if r.process != nil && r.kept.Load() == 0 {
			r.process.Keep(func(name string) bool { return members[name] != nil && members[name].plugin.Load() == r })
		}
	}
}

// join gives the plugin that is to serve a store: one that is there, or a new one that is not started yet.
func (f *fleet) join(name string, c config.Store) (r *running, fresh bool, err error) {
	cell := cellOf(name, c)
	if conn, ok := f.given[c.Provider]; ok {
		return f.add(&running{provider: c.Provider, cell: cell, fixed: &connection{dial.New(conn)}},
			func(r *running) bool { return r.fixed != nil && r.provider == c.Provider })
	}
	b, err := f.catalog.Choose(c.Provider, name, c.Version)
	if err != nil {
		return nil, false, err
	}
	return f.add(&running{provider: c.Provider, cell: cell, process: f.catalog.Supervise(b, cell)},
		func(r *running) bool { return r.process != nil && r.cell == cell && r.process.Binary().Path == b.Path })
}

// add adds a plugin unless there is one that is the same.
func (f *fleet) add(r *running, same func(*running) bool) (*running, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.all, same); i >= 0 {
		return f.all[i], false, nil
	}
	f.all = append(f.all, r)
	return r, true, nil
}

// startPlugins finds and starts, side by side, every plugin that a store needs. All that fail are reported.
func (h *Host) startPlugins(ctx context.Context) (map[string]*running, error) {
	var mu sync.Mutex
	var problems []config.Problem
	fault := func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		problems = append(problems, h.cfg.Problem(config.Path("stores", name, "provider"), "%v", err))
	}
	serving := map[string]*running{}
	var wg sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(h.cfg.Stores)) {
		r, fresh, err := h.fleet.join(name, h.cfg.Stores[name])
		if err != nil {
			fault(name, err)
			continue
		}
		serving[name] = r
		if !fresh {
			continue
		}
		wg.Go(func() {
			if err := r.introduce(ctx); err != nil {
				fault(name, err)
			}
		})
	}
	wg.Wait()
	return serving, config.NewError(problems...)
}

// introduce starts the plugin and learns its manifest.
func (r *running) introduce(ctx context.Context) error {
	if r.fixed != nil {
		m, err := r.fixed.plugin.Describe(ctx)
		if err == nil && m.Name != r.provider {
			err = sdk.Errorf(sdk.InvalidArgument, "the connection given for provider %q is one of %q", r.provider, m.Name)
		}
		r.manifest, r.schema = m, config.SchemaOf(m)
		return err
	}
	g, err := r.process.Current(ctx)
	if err != nil {
		return err
	}
	r.manifest = g.Manifest()
	r.schema = config.SchemaOf(r.manifest)
	return nil
}

// checkSettings holds every store's settings against its plugin's schema, in one report.
func (h *Host) checkSettings(serving map[string]*running) error {
	var problems []config.Problem
	for name, r := range serving {
		problems = append(problems, h.cfg.CheckSettings(name, r.schema)...)
	}
	return config.NewError(problems...)
}

// parallelOpens bounds how many stores open at a time when the host does. It is far below what stays open in a process, so
// that no store is closed for another one's sake before its first call.
const parallelOpens = 64

// openStores opens every store. What its settings lack is a problem of the configuration; an unreachable backend or an
// unreachable source of a setting is not, and is tried again on the store's next use.
func (h *Host) openStores(ctx context.Context) error {
	var mu sync.Mutex
	var problems []config.Problem
	var refused []error
	var wg sync.WaitGroup
	places := make(chan struct{}, parallelOpens)
	for _, m := range h.stores() {
		h.spawn(func(ctx context.Context) { m.reopenLoop(ctx, h) })
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
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
