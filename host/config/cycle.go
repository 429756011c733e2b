package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/host/refs"
)

// step is what resolving needs: to open a store, or to read a name in it, which needs the ciphertext's store too.
type step struct {
	store string
	read  bool
}

// Needs gives the names of the stores that must be open before this one can be: those that the references in its settings
// name. They are sorted; there may be cycles only before Check.
func (c *Config) Needs(store string) []string {
	names := map[string]bool{}
	for _, s := range c.needs(step{store: store}, nil) {
		names[s.store] = true
	}
	return sorted(names)
}

func (c *Config) needs(s step, into []step) []step {
	store, ok := c.Stores[s.store]
	if !ok {
		return into
	}
	if s.read {
		into = append(into, step{store: s.store})
		if _, ok := c.Stores[store.CiphertextFrom]; ok {
			into = append(into, step{store.CiphertextFrom, true})
		}
		return into
	}
	return c.needsOf(store.Settings, into)
}

// needsOf collects what the references of a settings tree need.
func (c *Config) needsOf(v any, into []step) []step {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			into = c.needsOf(v[key], into)
		}
	case []any:
		for _, e := range v {
			into = c.needsOf(e, into)
		}
	case string:
		parts, _ := refs.Split(v)
		for _, p := range parts {
			if p.Ref == nil {
				continue
			}
			name, read := p.Ref.Store, p.Ref.Kind == refs.Secret
			if p.Ref.Kind == refs.Environ && c.References.Hosts(p.Ref.Name) {
				name, read = c.References.DefaultStore, true
			}
			if _, ok := c.Stores[name]; ok && p.Ref.Kind != refs.OIDC {
				into = append(into, step{name, read})
			}
		}
	}
	return into
}

// Hosts reports whether the default store answers os.environ/name.
func (r References) Hosts(name string) bool {
	return r.DefaultStore != "" && (r.HostedNames == nil || slices.Contains(r.HostedNames, name))
}

// cycles reports each store whose opening needs itself, once a cycle.
func (k *checker) cycles() {
	done := map[step]bool{}
	for _, name := range sorted(k.c.Stores) {
		k.walk(step{store: name}, nil, done)
	}
}

func (k *checker) walk(s step, trail []step, done map[step]bool) {
	if i := slices.Index(trail, s); i >= 0 {
		k.fault(Path("stores", s.store, "settings"), "the references of stores go round: %s", arrows(append(slices.Clone(trail[i:]), s)))
		return
	}
	if done[s] {
		return
	}
	for _, n := range k.c.needs(s, nil) {
		k.walk(n, append(trail, s), done)
	}
	done[s] = true
}

// arrows writes "a -> b -> a"; to read and to open one store is one stop.
func arrows(trail []step) string {
	names := make([]string, len(trail))
	for i, s := range trail {
		names[i] = s.store
	}
	names = slices.Compact(names)
	if len(names) == 1 {
		names = append(names, names[0])
	}
	return strings.Join(names, " -> ")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
