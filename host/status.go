package host

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// StoreStatus is the present state of one store.
type StoreStatus struct {
	Name       string
	Provider   string
	Required   bool
	Open       bool
	Generation int              // of the plugin's process that serves it
	Can        sdk.Capabilities // what it can be used for, once it has been opened
	Opened     time.Time
	Down       error // why its backend is taken for unreachable; nil when it is not
	Singly     int64 // batches that its backend refused as a whole, and that were read one by one
}

// PluginStatus is the present state of one plugin.
type PluginStatus struct {
	Provider   string
	Version    string
	Path       string // empty for a connection given by the embedder
	State      string // idle, starting, ready, backoff, stopping, stopped; connected for a connection
	PID        int
	Generation int
	Restarts   int
	Since      time.Time
	LastError  error
	Stderr     []string // the last lines that it printed
	Digest     string   // of the bytes that run, "sha256:…"
	Image      string   // how they are executed: in place, unnamed copy, memfd, private copy
	Signer     string   // key that signed them; empty: nobody needed to
	Cell       string   // whose stores it serves: shared, team, dedicated STORE
	Network    string   // brokered, direct, none
	Sandbox    []string // the layers that confine it: "landlock 7", "seccomp", …
	Missing    []string // layers that this system lacks, each with its reason
	Dials      int64    // connections that the host made for it
	Refused    int64    // connections that the host refused it
	Stores     []string // the stores that it serves
	Drift      bool     // it is not what the lock file says
	History    []string // how its last generations ended, newest last
}

// Stores tells the state of every store, by name, without asking any.
func (h *Host) Stores() []StoreStatus {
	out := make([]StoreStatus, 0, len(h.stores()))
	for _, name := range slices.Sorted(maps.Keys(h.stores())) {
		m := h.stores()[name]
		s := m.store.Status()
		out = append(out, StoreStatus{Name: name, Provider: m.cfg.Provider, Required: m.cfg.Required, Open: s.Open,
			Generation: s.Generation, Can: s.Can, Opened: s.Opened, Down: s.Down, Singly: m.singly.Load()})
	}
	return out
}

// Plugins tells the state of every plugin that serves a store, or served one a moment ago.
func (h *Host) Plugins() []PluginStatus {
	var out []PluginStatus
	for _, r := range h.fleet.plugins() {
		out = append(out, h.statusOf(r))
	}
	slices.SortStableFunc(out, func(a, b PluginStatus) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Version, b.Version))
	})
	return out
}

func (h *Host) statusOf(r *running) PluginStatus {
	out := PluginStatus{Provider: r.provider, Cell: string(r.cell.Kind)}
	if r.cell.Store != "" {
		out.Cell += " " + r.cell.Store
	}
	for name, m := range h.stores() {
		if m.plugin.Load() == r {
			out.Stores = append(out.Stores, name)
		}
	}
	slices.Sort(out.Stores)
	if r.process == nil {
		out.Version, out.State, out.Generation = r.manifest.Version, "connected", 1
		return out
	}
	s := r.process.Status()
	out.Version, out.Path, out.State, out.PID = s.Version, s.Path, string(s.State), s.PID
	out.Generation, out.Restarts, out.Since, out.LastError, out.Stderr = s.Generation, s.Restarts, s.Since, s.LastError, s.StderrTail
	out.Digest, out.Image, out.Signer, out.Network, out.Sandbox, out.Missing = s.Digest, s.Image, s.Signer, s.Network, s.Layers, s.Missing
	out.Dials, out.Refused = s.Dials, s.Refused
	for _, e := range s.History {
		out.History = append(out.History, fmt.Sprintf("%s generation %d after %v: %s", e.At.UTC().Format(time.RFC3339), e.Generation, e.Lived.Round(time.Millisecond), e.Reason))
	}
	out.Drift = h.drifts(r, out.Stores)
	return out
}

// drifts reports whether a plugin is not what the lock file says for a store that it serves.
func (h *Host) drifts(r *running, stores []string) bool {
	if h.cfg.Plugins.Lock == "" {
		return false
	}
	for _, name := range stores {
		b, err := h.fleet.catalog.Choose(r.provider, name, h.stores()[name].config().Version)
		if err != nil || b.Path != r.process.Binary().Path {
			return true
		}
	}
	return false
}

// Ready is nil when every required store has answered, else Unavailable and the names of those that have not.
func (h *Host) Ready() error {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(h.stores())) {
		if m := h.stores()[name]; m.cfg.Required && !m.ready.Load() {
			missing = append(missing, describePlace(name, m.store.Status().Down))
		}
	}
	if len(missing) > 0 {
		return sdk.Errorf(sdk.Unavailable, "not ready: no answer yet from the required stores %s", strings.Join(missing, ", "))
	}
	return nil
}

// describePlace is a store and what is wrong with it, for Ready.
func describePlace(name string, err error) string {
	if err == nil {
		return name
	}
	return fmt.Sprintf("%s (%v)", name, err)
}
