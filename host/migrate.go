package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyway-dev/keyway/sdk"
)

// Migration copies secrets from one store to another, or within one. The source keeps them.
type Migration struct {
	From, FromPrefix string   // the store, and what the names begin with; the prefix is taken off
	To, ToPrefix     string   // the store, and what is put before each name
	Names            []string // only these, by their names in the source; empty: all that the source lists
	Replace          bool     // a secret that is there with another value gets the source's; otherwise it fails as AlreadyExists
	NoLabels         bool     // leave description and labels behind
	DryRun           bool     // read and compare, and write nothing
}

// MigrationState is what became of one secret.
type MigrationState string

// What can become of a secret.
const (
	Copied    MigrationState = "copied"     // written, and read back with the same value
	Same      MigrationState = "same"       // it was there with this value already
	WouldCopy MigrationState = "would copy" // in a dry run
	Failed    MigrationState = "failed"
)

// MigrationItem tells what became of one secret. Done counts those that are through, of Total.
type MigrationItem struct {
	Name        string // in the source
	To          string // in the destination
	State       MigrationState
	Err         error // of Failed
	Done, Total int
}

// MigrationReport counts what became of the secrets.
type MigrationReport struct {
	Total     int `json:"total"`
	Copied    int `json:"copied"`
	Same      int `json:"same"`
	WouldCopy int `json:"would_copy,omitempty"` // in a dry run
	Failed    int `json:"failed"`
}

// migrating is how many secrets are copied at once. The stores' own limits hold besides.
const migrating = 8

// Migrate copies the current values of secrets to another store, and believes a write only once a read past every cache gives
// the value back. Documents may be spelled anew by a store that holds JSON. What is there already with the same value is not
// written again, so a migration that was cut short is resumed by starting it again. progress is told each secret, one call at
// a time, and may be nil.
//
// Each secret is for itself: one that fails keeps no other from being copied, and is in the report. Errors are those that
// let nothing begin, all problems together (InvalidArgument, NotFound, PermissionDenied, Unimplemented), those of listing
// the source, and those of ctx.
func (h *Host) Migrate(ctx context.Context, m Migration, progress func(MigrationItem)) (MigrationReport, error) {
	from, to, err := h.migration(ctx, m)
	if err != nil {
		return MigrationReport{}, err
	}
	names, err := m.names(ctx, from)
	if err != nil {
		return MigrationReport{}, err
	}
	report := MigrationReport{Total: len(names)}
	var mu sync.Mutex
	done := 0
	var g errgroup.Group
	g.SetLimit(migrating)
	for _, name := range names {
		g.Go(func() error {
			item := MigrationItem{Name: name, To: m.ToPrefix + strings.TrimPrefix(name, m.FromPrefix), Total: len(names)}
			if item.Err = ctx.Err(); item.Err == nil {
				item.State, item.Err = m.copy(ctx, from, to, item.Name, item.To)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			item.Done = done
			report.count(&item)
			if progress != nil {
				progress(item)
			}
			return nil
		})
	}
	_ = g.Wait()
	return report, ctx.Err()
}

func (r *MigrationReport) count(i *MigrationItem) {
	switch {
	case i.Err != nil:
		i.State = Failed
		r.Failed++
	case i.State == Copied:
		r.Copied++
	case i.State == Same:
		r.Same++
	default:
		r.WouldCopy++
	}
}

// migration finds the stores and whether they can do what is asked.
func (h *Host) migration(ctx context.Context, m Migration) (from, to *Store, err error) {
	from, fromErr := h.Store(m.From)
	to, toErr := h.Store(m.To)
	var overlap error
	if m.From == m.To && (strings.HasPrefix(m.ToPrefix, m.FromPrefix) || strings.HasPrefix(m.FromPrefix, m.ToPrefix)) {
		overlap = sdk.Errorf(sdk.InvalidArgument, "migrate: %s/%s and %s/%s hold each other's names; within one store the prefixes must differ from their beginning", m.From, m.FromPrefix, m.To, m.ToPrefix)
	}
	err = errors.Join(fromErr, toErr, overlap, sdk.CheckPrefix(m.FromPrefix), sdk.CheckPrefix(m.ToPrefix))
	for _, name := range m.Names {
		if !strings.HasPrefix(name, m.FromPrefix) {
			err = errors.Join(err, sdk.Errorf(sdk.InvalidArgument, "migrate: %q does not begin with %q", name, m.FromPrefix))
		}
		err = errors.Join(err, sdk.CheckName(name))
	}
	if err != nil {
		return nil, nil, err
	}
	needs := sdk.CanGet
	if len(m.Names) == 0 {
		needs |= sdk.CanList
	}
	wants := sdk.CanGet
	if !m.DryRun {
		wants |= sdk.CanPut
	}
	return from, to, errors.Join(from.needed(ctx, "migrate from", needs), to.needed(ctx, "migrate to", wants))
}

// needed refuses a store that cannot do something.
func (s *Store) needed(ctx context.Context, what string, needs sdk.Capabilities) error {
	can, err := s.Can(ctx)
	if err != nil {
		return err
	}
	if missing := needs &^ can; missing != 0 {
		return sdk.Errorf(sdk.Unimplemented, "%s %s: the store does not %s, as its provider, its settings and its access are", what, s.m.name, missing)
	}
	return s.plain(what)
}

// names gives what to copy, sorted.
func (m *Migration) names(ctx context.Context, from *Store) ([]string, error) {
	found := map[string]bool{}
	for _, name := range m.Names {
		found[name] = true
	}
	if len(m.Names) > 0 {
		return slices.Sorted(maps.Keys(found)), nil
	}
	for meta, err := range from.List(ctx, m.FromPrefix) {
		if err != nil {
			return nil, fmt.Errorf("migrate from %s: %w", m.From, err)
		}
		found[meta.Name] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// copy copies one secret, unless it is there.
func (m *Migration) copy(ctx context.Context, from, to *Store, name, as string) (MigrationState, error) {
	v, err := from.Get(ctx, name, "")
	if err != nil {
		return Failed, err
	}
	there, err := to.Get(ctx, as, "")
	switch {
	case err == nil && same(there.Sensitive, v.Sensitive):
		return Same, nil
	case err == nil && !m.Replace:
		return Failed, sdk.Errorf(sdk.AlreadyExists, "migrate to %s: %q is there with another value", m.To, as)
	case err != nil && sdk.CodeOf(err) != sdk.NotFound:
		return Failed, err
	}
	if m.DryRun {
		return WouldCopy, nil
	}
	r, err := m.request(ctx, from, to, name, there)
	if err != nil {
		return Failed, err
	}
	r.Name, r.Value = as, v.Sensitive
	if _, err := to.Put(ctx, r); err != nil {
		return Failed, err
	}
	back, err := to.Get(ctx, as, "")
	if err != nil {
		return Failed, sdk.Errorf(sdk.CodeOf(err), "migrate to %s: %q is written, but not read back: %w", m.To, as, err)
	}
	if !same(back.Sensitive, v.Sensitive) {
		return Failed, sdk.Errorf(sdk.Aborted, "migrate to %s: %q is written, but another value came back; somebody else writes too", m.To, as)
	}
	return Copied, nil
}

// request gives the write of one secret, on the condition that what is there has not changed meanwhile, where the store has
// conditions. there is nil where there is nothing.
func (m *Migration) request(ctx context.Context, from, to *Store, name string, there *Value) (r sdk.PutRequest, err error) {
	can, err := to.Can(ctx)
	if err != nil {
		return r, err
	}
	switch {
	case there == nil && can.Has(sdk.CanPutIfAbsent):
		r.If = sdk.IfAbsent()
	case there != nil && there.Version != "" && can.Has(sdk.CanPutIfVersion):
		r.If = sdk.IfVersion(there.Version)
	}
	source, err := from.Can(ctx)
	if err != nil || m.NoLabels || there != nil || !can.Has(sdk.CanPutLabels) || !source.Has(sdk.CanStat) {
		return r, err
	}
	meta, err := from.Stat(ctx, name)
	r.Description, r.Labels = meta.Description, meta.Labels
	return r, err
}
