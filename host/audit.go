package host

import (
	"context"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
)

// WithAudit records in sink every call of a secret manager, every change, and what happens to plugins; reads of this
// process are told once a minute for each reference, or each by itself where [audit.WithOrigin] says who asks. Without it
// the file that the configuration names is written, if it names one. The sink is the caller's to close, after the host.
func WithAudit(sink audit.Sink) Option { return func(o *options) { o.audit = sink } }

// recorder writes the audit of a host. A nil one records nothing.
type recorder struct {
	log   *audit.Log
	reads *audit.Reads
	file  *audit.File // the host's own; nil where the embedder gave a sink

	mu     sync.Mutex
	minute time.Time        // when dials was begun
	dials  map[string]int64 // refused since, by provider and endpoint
}

func (h *Host) newRecorder(sink audit.Sink) (*recorder, error) {
	var own *audit.File
	if a := h.cfg.Audit; sink == nil && a.File != "" {
		var err error
		if own, err = audit.NewFile(audit.FileOptions{Path: h.cfg.Abs(a.File), Rotate: a.Rotate, Keep: a.Keep, Logger: h.log}); err != nil {
			return nil, err
		}
		sink = own
	}
	if sink == nil {
		return nil, nil
	}
	l := audit.NewLog(sink, audit.LogOptions{Host: h.cfg.HostName(), OnFailure: audit.OnFailure(h.cfg.Audit.OnFailure)})
	return &recorder{log: l, reads: audit.NewReads(context.Background(), l), file: own, dials: map[string]int64{}}, nil
}

func (r *recorder) close(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.reads.Close()
	if r.file == nil {
		return nil
	}
	return r.file.Close(ctx)
}

// counter counts the reads of one reference; nil where nobody wants to know.
func (r *recorder) counter(store, name, version string) *audit.Counter {
	if r == nil {
		return nil
	}
	return r.reads.Counter(store, name, version)
}

// count counts a read that gave a value.
func count(reads []*audit.Counter, v *Value) {
	if v == nil {
		return
	}
	from := audit.Cache
	if v.Stale {
		from = audit.Stale
	}
	for _, c := range reads {
		c.Read(from)
	}
}

// read tells a read: by itself where it is known who asked, else in the sum of the minute. begun is when it was asked for;
// zero: the cache answered at once.
func (r *recorder) read(ctx context.Context, b *binding, v *Value, err error, begun time.Time) {
	if r == nil {
		return
	}
	if _, known := audit.OriginOf(ctx); !known {
		count(b.reads, v)
		return
	}
	line := audit.Line{Event: audit.Request, Op: "get", Code: sdk.CodeOf(err).String(), Source: audit.Cache}
	switch {
	case v == nil:
		line.Source = ""
	case v.Stale:
		line.Source = audit.Stale
	case !begun.IsZero() && !v.ReadAt.Before(begun):
		line.Source = audit.Backend
	}
	if !begun.IsZero() {
		line.TookUS = time.Since(begun).Microseconds()
	}
	for _, p := range b.parts {
		if p.reading != nil {
			line.Store, line.Name, line.Version = p.reading.ref.Store, p.reading.ref.Name, p.reading.ref.Version
			r.log.Record(ctx, line.By(ctx))
		}
	}
}

// refused tells a read of what is no reference, or of a store that there is not, where it is known who asked.
func (r *recorder) refused(ctx context.Context, err error) {
	if r == nil {
		return
	}
	if _, known := audit.OriginOf(ctx); known {
		line := audit.Line{Event: audit.Request, Op: "get", Code: sdk.CodeOf(err).String(), Detail: err.Error()}
		r.log.Record(ctx, line.By(ctx))
	}
}

// Record tells the audit, if there is one, what only an API over this host knows: a request that the host does not see. Who
// asked is the context's ([audit.WithOrigin]) where that says so. Reads and changes are told by the host.
func (h *Host) Record(ctx context.Context, line audit.Line) {
	if h.audit != nil {
		h.audit.log.Record(ctx, line.By(ctx))
	}
}

// call records a call of the secret manager.
func (r *recorder) call(m *member, o store.Observation) {
	if r == nil {
		return
	}
	line := audit.Line{Event: audit.Call, Actor: audit.Actor{Kind: audit.Itself}, Op: o.Op, Store: m.name, Provider: m.cfg.Provider,
		Name: o.Name, Version: o.Version, Code: sdk.CodeOf(o.Err).String(), Source: audit.Backend, TookUS: o.Took.Microseconds()}
	line.PluginVersion, line.PluginDigest = pluginOf(m)
	r.log.Record(context.Background(), line)
}

// change makes a change of a secret, and records it before and after.
func (s *Store) change(ctx context.Context, op, name string, f func(context.Context) (version string, err error)) error {
	if s.h.audit == nil {
		_, err := f(ctx)
		return err
	}
	line := audit.Line{Actor: audit.Actor{Kind: audit.Embedded}, Op: op, Store: s.m.name, Provider: s.m.cfg.Provider, Name: name}
	line.PluginVersion, line.PluginDigest = pluginOf(s.m)
	return s.h.audit.log.Change(ctx, line.By(ctx), func(ctx context.Context, l *audit.Line) (err error) {
		l.Version, err = f(ctx)
		return err
	})
}

// administer records a change of the host itself, a swap for example.
func (h *Host) administer(ctx context.Context, op, provider, detail string, f func(context.Context) error) error {
	if h.audit == nil {
		return f(ctx)
	}
	line := audit.Line{Actor: audit.Actor{Kind: audit.Embedded}, Op: op, Provider: provider, Detail: detail}
	return h.audit.log.Change(ctx, line.By(ctx), func(ctx context.Context, _ *audit.Line) error { return f(ctx) })
}

// pluginOf gives version and digest of what serves a store.
func pluginOf(m *member) (version, digest string) {
	r := m.plugin.Load()
	if r == nil {
		return "", ""
	}
	if r.process == nil {
		return r.manifest.Version, ""
	}
	return r.process.Identity()
}

// plugin records what happened to a plugin.
func (r *recorder) plugin(e plugin.Event) {
	if e.Kind == "refuse_dial" && !r.first(e.Provider+" "+e.Detail) {
		return
	}
	line := audit.Line{Event: audit.Plugin, Actor: audit.Actor{Kind: audit.Itself, PID: e.PID}, Op: e.Kind, Provider: e.Provider,
		PluginVersion: e.Version, PluginDigest: e.Digest, Detail: e.Detail}
	if e.Kind == "refuse_dial" {
		line.Detail = "" // the reason names the endpoint
	}
	if e.Err != nil {
		line.Code = sdk.CodeOf(e.Err).String()
		if line.Detail != "" {
			line.Detail += ": "
		}
		line.Detail += e.Err.Error()
	}
	r.log.Record(context.Background(), line)
}

// A plugin that asks for forbidden dials again and again must not push everything else out of the audit.
const (
	refusedEvery = time.Minute
	refusedMost  = 256 // endpoints in that time
)

// first reports whether a refused dial is the first of its kind in this minute.
func (r *recorder) first(dial string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.minute) > refusedEvery {
		r.minute = now
		clear(r.dials)
	}
	if _, known := r.dials[dial]; !known && len(r.dials) >= refusedMost {
		return false
	}
	r.dials[dial]++
	return r.dials[dial] == 1
}
