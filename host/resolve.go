package host

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// parallelReads bounds how many secrets one ResolveAll reads at a time from stores without a batch call.
const parallelReads = 128

// Resolve gives the value that a reference, or a text with references inside, names: from the cache while it is fresh.
// Errors are NotFound, FailedPrecondition, PermissionDenied, Unavailable and the others of the store, InvalidArgument for
// a malformed reference or a pointer into what is no JSON, and Canceled or DeadlineExceeded when ctx ends first.
func (h *Host) Resolve(ctx context.Context, ref string) (*Value, error) {
	if b, ok := h.bindings.Load(ref); ok {
		if v, err, ok := b.fresh(); ok {
			return v, err
		}
	}
	b, err := h.bind(ref)
	if err != nil {
		return nil, err
	}
	return b.get(ctx)
}

// ResolveAll resolves many references in one pass: each secret is read once, in batches where the store has them and in
// parallel where not. The map holds what could be resolved, by the text that asked; the error joins everything that
// could not, each with its reference.
func (h *Host) ResolveAll(ctx context.Context, references ...string) (map[string]*Value, error) {
	var failed []error
	bindings := make(map[string]*binding, len(references))
	for _, text := range references {
		if _, ok := bindings[text]; ok {
			continue
		}
		b, err := h.bind(text)
		if err != nil {
			failed = append(failed, err)
		}
		bindings[text] = b
	}
	h.fetch(ctx, bindings)
	out := make(map[string]*Value, len(bindings))
	for _, text := range references {
		b := bindings[text]
		if b == nil {
			continue
		}
		bindings[text] = nil // each once, in the order asked for
		v, err := b.get(ctx)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		out[text] = v
	}
	return out, errors.Join(failed...)
}

// fetch loads every entry that is not fresh, and returns when all have an answer or ctx has ended.
func (h *Host) fetch(ctx context.Context, bindings map[string]*binding) {
	singles, batches := h.plan(bindings)
	var wg sync.WaitGroup
	places := make(chan struct{}, parallelReads)
	for m, readings := range batches {
		wg.Go(func() {
			for _, r := range h.fetchBatches(ctx, m, readings) {
				wg.Go(func() { inPlace(ctx, places, func() { _, _ = r.get(ctx) }) })
			}
		})
	}
	for _, r := range singles {
		wg.Go(func() { inPlace(ctx, places, func() { _, _ = r.get(ctx) }) })
	}
	wg.Wait()
}

func inPlace(ctx context.Context, places chan struct{}, f func()) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		f()
	case <-ctx.Done():
	}
}

// plan sorts what must be loaded into single reads and, by store, batches.
func (h *Host) plan(bindings map[string]*binding) (singles []*reading, batches map[*member][]*reading) {
	batches = map[*member][]*reading{}
	seen := map[*cache.Entry[*Value]]bool{}
	for _, b := range bindings {
		if b == nil {
			continue
		}
		for _, p := range b.parts {
			r := p.reading
			if r == nil || seen[r.entry] {
				continue
			}
			seen[r.entry] = true
			if _, _, ok := r.entry.Fresh(); ok {
				continue
			}
			if m := h.batchable(r); m != nil {
				batches[m] = append(batches[m], r)
				continue
			}
			singles = append(singles, r)
		}
	}
	for m, rs := range batches {
		if len(rs) == 1 {
			singles = append(singles, rs[0])
			delete(batches, m)
		}
	}
	return singles, batches
}

// batchable gives the store whose batch call can answer the reading: the current version of a secret of its own.
func (h *Host) batchable(r *reading) *member {
	ref := h.placed(r.ref)
	if ref.Kind != refs.Secret || ref.Version != "" {
		return nil
	}
	m := h.members[ref.Store]
	if m == nil || m.cfg.CiphertextFrom != "" || m.cfg.Document != "" || r.ref.Kind == refs.Environ && h.cfg.References.Fallback == "env" {
		return nil
	}
	return m
}

// placed gives os.environ/NAME as the secret that it means.
func (h *Host) placed(ref refs.Ref) refs.Ref {
	if ref.Kind != refs.Environ {
		return ref
	}
	if cfg := h.cfg.References; cfg.DefaultStore != "" && (cfg.HostedNames == nil || h.hosted[ref.Name]) {
		return refs.Ref{Kind: refs.Secret, Store: cfg.DefaultStore, Name: ref.Name}
	}
	return refs.Ref{Kind: refs.Secret, Store: "env", Name: ref.Name}
}

// fetchBatches begins to load the readings in batches; their get waits for the outcome. Where the store has no batch
// call it gives them back, to be asked for one by one.
func (h *Host) fetchBatches(ctx context.Context, m *member, readings []*reading) (left []*reading) {
	if can, err := m.store.Can(ctx); err != nil || !can.Has(sdk.CanGetBatch) {
		return readings
	}
	for chunk := range slices.Chunk(readings, sdk.MaxBatch) {
		flights := make([]*cache.Flight[*Value], 0, len(chunk))
		names := make([]string, 0, len(chunk))
		for _, r := range chunk {
			if f, mine := r.entry.Begin(); mine { // else another caller's load is under way
				flights = append(flights, f)
				names = append(names, h.placed(r.ref).Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		if !h.spawn(func(ctx context.Context) { m.fetchBatch(ctx, names, flights) }) {
			finishAll(flights, context.Canceled)
		}
	}
	return nil
}

// fetchBatch loads one batch. It is not the caller's: others may have joined its flights.
func (m *member) fetchBatch(ctx context.Context, names []string, flights []*cache.Flight[*Value]) {
	ctx, cancel := context.WithTimeout(ctx, m.policy.LoadTimeout)
	defer cancel()
	results, err := m.store.GetBatch(ctx, names)
	if errors.Is(err, store.ErrAskSingly) {
		m.singly.Add(1)
		var wg sync.WaitGroup
		for _, f := range flights {
			wg.Go(f.Run)
		}
		wg.Wait()
		return
	}
	if err != nil {
		finishAll(flights, err)
		return
	}
	for i, f := range flights {
		switch err := results[i].Err; {
		case err == nil:
			f.Finish(loaded(valueOf(m.name, names[i], results[i].Secret)), nil)
		case leftOut(err):
			f.Run()
		default:
			f.Finish(cache.Loaded[*Value]{}, err)
		}
	}
}

// leftOut reports an item that had no room in the batch's message.
func leftOut(err error) bool {
	e, ok := asError(err)
	return ok && e.Reason == dial.ReasonMessageLimit
}

func finishAll(flights []*cache.Flight[*Value], err error) {
	for _, f := range flights {
		f.Finish(cache.Loaded[*Value]{}, err)
	}
}
