package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// reached gives the endpoints that the configured stores of a provider reach with their settings, by its plugin's word. The
// stores are opened as f, the lock file to be, has them, but for the endpoints, which are what is asked. It sends nothing to
// their secret managers.
func (a *app) reached(ctx context.Context, cfg *config.Config, f *lock.File, provider string) ([]string, error) {
	var names []string
	if cfg != nil {
		names = slices.DeleteFunc(sortedStores(cfg), func(n string) bool { return cfg.Stores[n].Provider != provider })
	}
	if len(names) == 0 {
		return nil, sdk.Errorf(sdk.InvalidArgument, "lock plugin %q: no store of the configuration has this provider, so nobody knows what it reaches; name it with --endpoint", provider)
	}
	dir, err := os.MkdirTemp("", "keyway-lock-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	asking, err := askingFor(cfg, names, f, filepath.Join(dir, "keyway.lock"))
	if err != nil {
		return nil, err
	}
	h, err := a.open(ctx, asking)
	if err != nil {
		return nil, err
	}
	defer a.shut(h)
	var endpoints []string
	for _, name := range names {
		st, err := h.Store(name)
		if err != nil {
			return nil, err
		}
		reach, err := st.Reach(ctx)
		if err != nil {
			return nil, err
		}
		if reach == nil {
			return nil, sdk.Errorf(sdk.FailedPrecondition, "lock plugin %q: it does not tell what store %s reaches; name it with --endpoint", provider, name)
		}
		endpoints = append(endpoints, reach.Endpoints...)
	}
	if len(endpoints) == 0 {
		a.say("%s: its stores reach no endpoint, and none is locked", provider)
	}
	return endpoints, nil
}

// askingFor gives the configuration of the named stores and those that they need, with f as the lock file at path.
func askingFor(cfg *config.Config, names []string, f *lock.File, path string) (*config.Config, error) {
	f = f.Clone()
	for _, name := range names {
		for number, v := range f.Plugins[cfg.Stores[name].Provider].Versions {
			v.Endpoints = nil
			f.Plugins[cfg.Stores[name].Provider].Versions[number] = v
		}
	}
	if err := os.WriteFile(path, f.Marshal(), 0o600); err != nil {
		return nil, err
	}
	c := only(cfg, names...)
	needed := map[string]bool{}
	for name := range c.Stores {
		for _, n := range cfg.Needs(name) {
			needed[n] = true
		}
	}
	for name, st := range c.Stores {
		if !needed[name] {
			st.Required, st.Access = false, config.Write // neither a login nor a watch: the host asks nothing of its own
			c.Stores[name] = st
		}
	}
	if cfg.LockFile() == "" && c.Plugins.Unlocked == "" {
		c.Plugins.Unlocked = string(plugin.WarnUnlocked) // the stores that they need run as they do now
	}
	c.Plugins.Lock, c.Audit = path, config.Audit{}
	return c, nil
}
