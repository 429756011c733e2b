package host

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// Reload changes over to another configuration and lock file: stores whose settings changed open anew, and plugins for which
// the lock file or a version range says another version are swapped, as Swap does. The problems of a configuration that is
// wrong, or that only a restart can apply, come as one *config.Error, and nothing has changed. Aborted means that a swap is
// running. Settings go first, all of them or none; then one swap after the other, and the errors are those of Swap: what came
// before a swap that is refused stays, as progress was told, which may be nil.
func (h *Host) Reload(ctx context.Context, cfg *config.Config, progress func(SwapStep)) error {
	if !h.swaps.mu.TryLock() {
		return sdk.Errorf(sdk.Aborted, "reload: a swap is running; wait for it")
	}
	defer h.swaps.mu.Unlock()
	return h.administer(ctx, "reload", "", cfg.File, func(ctx context.Context) error { return h.reload(ctx, cfg, steps(progress)) })
}

func (h *Host) reload(ctx context.Context, cfg *config.Config, tell func(step, format string, args ...any)) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	var problems []config.Problem
	problems = append(problems, h.needRestart(cfg)...)
	for name, m := range h.stores() {
		if _, ok := cfg.Stores[name]; ok {
			problems = append(problems, cfg.CheckSettings(name, m.plugin.Load().schema)...)
		}
	}
	if err := config.NewError(problems...); err != nil {
		return err
	}
	wanted, err := h.wantedSwaps(cfg)
	if err != nil {
		return err
	}
	if err := h.changeSettings(ctx, cfg, tell); err != nil {
		return err
	}
	h.current.Store(cfg)
	for _, s := range wanted {
		if err := h.swap(ctx, s, tell); err != nil {
			return err
		}
	}
	tell("done", "%d stores, %d plugins swapped", len(h.stores()), len(wanted))
	return nil
}

// needRestart lists what differs and cannot change in a running host.
func (h *Host) needRestart(cfg *config.Config) (problems []config.Problem) {
	fault := func(path, format string, args ...any) {
		problems = append(problems, cfg.Problem(path, "%s; restart to apply it", fmt.Sprintf(format, args...)))
	}
	for path, same := range map[string]bool{
		"plugins":    reflect.DeepEqual(cfg.Plugins, h.cfg.Plugins),
		"references": reflect.DeepEqual(cfg.References, h.cfg.References),
		"sources":    reflect.DeepEqual(cfg.Sources, h.cfg.Sources),
		"cache":      cfg.Cache == h.cfg.Cache,
		"listeners":  reflect.DeepEqual(cfg.Listeners, h.cfg.Listeners),
		"audit":      cfg.Audit == h.cfg.Audit,
	} {
		if !same {
			fault(path, "has changed")
		}
	}
	members := h.stores()
	for name, c := range cfg.Stores {
		m, ok := members[name]
		if !ok {
			fault(config.Path("stores", name), "is new")
			continue
		}
		now := m.config()
		now.Settings, now.Version = c.Settings, c.Version
		if !reflect.DeepEqual(now, c) {
			fault(config.Path("stores", name), "has changed in more than settings and version")
		}
	}
	for name := range members {
		if _, ok := cfg.Stores[name]; !ok {
			fault(config.Path("stores", name), "is gone")
		}
	}
	slices.SortFunc(problems, func(a, b config.Problem) int { return a.Line - b.Line })
	return problems
}

// wantedSwaps gives the swaps that lead to what the lock file and the stores' version ranges say.
func (h *Host) wantedSwaps(cfg *config.Config) ([]Swap, error) {
	type target struct{ provider, version string }
	stores := map[target][]string{}
	var order []target
	members := h.stores()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m := members[name]
		r := m.plugin.Load()
		if r.process == nil {
			continue
		}
		b, err := h.fleet.catalog.Choose(m.cfg.Provider, name, cfg.Stores[name].Version)
		if err != nil {
			return nil, sdk.Errorf(sdk.CodeOf(err), "reload: store %s: %w", name, err)
		}
		if b.Path == r.process.Binary().Path || b.Version == "" {
			continue
		}
		t := target{m.cfg.Provider, b.Version}
		if stores[t] == nil {
			order = append(order, t)
		}
		stores[t] = append(stores[t], name)
	}
	var out []Swap
	for _, t := range order {
		out = append(out, Swap{Plugin: t.provider, Version: t.version, Stores: stores[t], Ephemeral: true})
	}
	return out, nil
}

// changeSettings opens the stores anew whose settings changed. One that does not open goes back to its old settings, which
// still serve, and so do those before it.
func (h *Host) changeSettings(ctx context.Context, cfg *config.Config, tell func(step, format string, args ...any)) error {
	var changed []*member
	type former struct {
		config config.Store
		tree   map[string]any
	}
	undo := map[*member]former{}
	members := h.stores()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		m, next := members[name], cfg.Stores[name]
		now := m.config()
		if reflect.DeepEqual(now.Settings, next.Settings) {
			m.configure(next, nil)
			continue
		}
		undo[m] = former{now, m.settingsTree()}
		changed = append(changed, m)
		m.configure(next, cfg.AbsPaths(name, m.plugin.Load().schema))
		if err := m.store.Reopen(ctx); err != nil {
			for _, m := range changed {
				m.configure(undo[m].config, undo[m].tree)
				if again := m.store.Reopen(ctx); again != nil {
					h.log.Warn("the store did not open with its former settings at once", "store", m.name, "error", again)
				}
			}
			return sdk.Errorf(sdk.CodeOf(err), "reload: the new settings do not open, the former ones serve: %w", err)
		}
		h.followSettings(m)
		tell("open", "%s opened with its new settings", name)
	}
	return nil
}
