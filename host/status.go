package host

import (
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
	out := make([]StoreStatus, 0, len(h.members))
	for _, name := range slices.Sorted(maps.Keys(h.members)) {
		m := h.members[name]
		s := m.store.Status()
		out = append(out, StoreStatus{Name: name, Provider: m.cfg.Provider, Required: m.cfg.Required, Open: s.Open,
			Generation: s.Generation, Can: s.Can, Opened: s.Opened, Down: s.Down, Singly: m.singly.Load()})
	}
	return out
}

// Plugins tells the state of every plugin that serves a store.
func (h *Host) Plugins() []PluginStatus {
	out := make([]PluginStatus, 0, len(h.plugins))
	for _, k := range slices.Sorted(maps.Keys(h.plugins)) {
		r := h.plugins[k]
		if r.process == nil {
			out = append(out, PluginStatus{Provider: r.provider, Version: r.manifest.Version, State: "connected", Generation: 1})
			continue
		}
		s := r.process.Status()
		out = append(out, PluginStatus{Provider: r.provider, Version: s.Version, Path: s.Path, State: string(s.State), PID: s.PID,
			Generation: s.Generation, Restarts: s.Restarts, Since: s.Since, LastError: s.LastError, Stderr: s.StderrTail})
	}
	return out
}

// Ready is nil when every required store has answered, else Unavailable and the names of those that have not.
func (h *Host) Ready() error {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(h.members)) {
		if m := h.members[name]; m.cfg.Required && !m.ready.Load() {
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
