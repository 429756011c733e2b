// Package lock reads and writes the lock file: which version of each plugin runs, for which stores, and which bytes it must
// have.
package lock

import (
	"bytes"
	"maps"
	"net"
	"slices"
	"strings"
)

// The networks that a version may be locked with.
const (
	Brokered = "brokered" // the host dials for it
	Direct   = "direct"   // it opens sockets itself
)

// File is a lock file.
type File struct {
	Version int // of the format: 1
	Plugins map[string]Plugin
}

// Plugin is what is locked of one provider's plugin.
type Plugin struct {
	Use      string            // the version that its stores run; empty: the newest locked one that fits
	Stores   map[string]string // stores that run another version: a swap in steps
	Versions map[string]Version
}

// Version is what one version must be and may do.
type Version struct {
	Digests      map[string]string // by platform: "linux/amd64": "sha256:…"
	Capabilities []string          // the most it may claim
	Network      string            // Brokered or Direct; empty is Brokered
	Endpoints    []string          // all that its stores may dial, "host:port" or "*.domain:port"; none: whatever their settings say
	Bad          string            // why it must not run: it was rolled back
}

// Reaches reports whether the version's stores may dial endpoint, a "host:port". "*.vault.azure.net:443" stands for every
// name below vault.azure.net. Without a list anything goes.
func (v Version) Reaches(endpoint string) bool {
	if len(v.Endpoints) == 0 {
		return true
	}
	host, port, err := net.SplitHostPort(strings.ToLower(endpoint))
	return err == nil && slices.ContainsFunc(v.Endpoints, func(allowed string) bool {
		pattern, p, err := net.SplitHostPort(strings.ToLower(allowed))
		if err != nil || p != port {
			return false
		}
		domain, wild := strings.CutPrefix(pattern, "*")
		return pattern == host || wild && len(host) > len(domain) && strings.HasSuffix(host, domain)
	})
}

// Clone is a deep copy, never nil.
func (f *File) Clone() *File {
	out := &File{Version: 1, Plugins: map[string]Plugin{}}
	if f == nil {
		return out
	}
	for name, p := range f.Plugins {
		p.Stores, p.Versions = maps.Clone(p.Stores), maps.Clone(p.Versions)
		for number, v := range p.Versions {
			v.Digests = maps.Clone(v.Digests)
			v.Capabilities, v.Endpoints = slices.Clone(v.Capabilities), slices.Clone(v.Endpoints)
			p.Versions[number] = v
		}
		out.Plugins[name] = p
	}
	return out
}

const header = `# Which plugins Keyway runs, and the bytes that they must have. Keep it under version control.
#
# "keyway plugin install", "lock", "swap" and "rollback" write it, and keep no other comment. It may be edited by hand:
# "keyway reload" then runs what it says.
`

// Marshal gives the file's text: the same for the same content.
func (f *File) Marshal() []byte {
	var w writer
	w.WriteString(header)
	w.line(0, "version", "1")
	w.open(0, "plugins", len(f.Plugins))
	for _, name := range slices.Sorted(maps.Keys(f.Plugins)) {
		w.plugin(name, f.Plugins[name])
	}
	return w.Bytes()
}

// writer writes YAML in the one form that the file has.
type writer struct{ bytes.Buffer }

func (w *writer) plugin(name string, p Plugin) {
	w.open(1, name, 1)
	if p.Use != "" {
		w.line(2, "use", quoted(p.Use))
	}
	if len(p.Stores) > 0 {
		w.texts(2, "stores", p.Stores)
	}
	w.open(2, "versions", len(p.Versions))
	for _, number := range slices.SortedFunc(maps.Keys(p.Versions), compareVersions) {
		w.version(number, p.Versions[number])
	}
}

func (w *writer) version(number string, v Version) {
	w.open(3, quoted(number), 1)
	w.texts(4, "digests", v.Digests)
	w.line(4, "capabilities", flow(v.Capabilities))
	if v.Network != "" {
		w.line(4, "network", v.Network)
	}
	if len(v.Endpoints) > 0 {
		w.line(4, "endpoints", flow(v.Endpoints))
	}
	if v.Bad != "" {
		w.line(4, "bad", quoted(v.Bad))
	}
}

func (w *writer) line(depth int, key, value string) {
	w.WriteString(strings.Repeat("  ", depth) + key + ": " + value + "\n")
}

// open begins a mapping; an empty one is said to be.
func (w *writer) open(depth int, key string, entries int) {
	if entries == 0 {
		w.line(depth, key, "{}")
		return
	}
	w.WriteString(strings.Repeat("  ", depth) + key + ":\n")
}

func (w *writer) texts(depth int, key string, m map[string]string) {
	w.open(depth, key, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.line(depth+1, quoted(k), quoted(m[k]))
	}
}

func flow(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = quoted(t)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
