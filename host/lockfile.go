package host

import (
	"maps"
	"path/filepath"

	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// lock makes the lock file say what is about to be.
func (c *change) lock() error {
	file := c.host.cfg.LockFile()
	if file == "" || c.Ephemeral {
		return nil
	}
	version := c.version()
	err := lock.Update(file, func(f *lock.File) error {
		p, ok := f.Plugins[c.Plugin]
		if !ok {
			return nil // nothing of it is locked, and the policy lets it run
		}
		p.Stores = maps.Clone(p.Stores)
		if len(c.Stores) == 0 {
			p.Use, p.Stores = version, nil
		}
		for _, name := range c.Stores {
			if p.Stores == nil {
				p.Stores = map[string]string{}
			}
			p.Stores[name] = version
		}
		f.Plugins[c.Plugin] = p
		return nil
	})
	if err != nil {
		return sdk.Errorf(sdk.CodeOf(err), "the lock file cannot be changed; only an ephemeral swap leaves it alone: %w", err)
	}
	c.tell("lock", "%s says %s", filepath.Base(file), version)
	return nil
}

// restoreLock makes the lock file say what was before the swap, and that the version is bad.
func (h *Host) restoreLock(t *trial, why string) error {
	file := h.cfg.LockFile()
	if file == "" || t.swap.Ephemeral {
		return nil
	}
	return lock.Update(file, func(f *lock.File) error {
		p, ok := f.Plugins[t.plugin]
		if !ok {
			return nil
		}
		if p.Use == t.to {
			p.Use = t.from
		}
		p.Stores = maps.Clone(p.Stores)
		for name, version := range p.Stores {
			if version == t.to {
				delete(p.Stores, name)
			}
		}
		if v, ok := p.Versions[t.to]; ok {
			v.Bad = why
			p.Versions = maps.Clone(p.Versions)
			p.Versions[t.to] = v
		}
		f.Plugins[t.plugin] = p
		return nil
	})
}
