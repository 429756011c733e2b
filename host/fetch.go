package host

import (
	"context"
	"errors"
	"slices"

	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// parallelReads bounds how many secrets one pass reads at a time from stores without a batch call.
const parallelReads = 128

// answers are what one pass has read: of each entry that was not fresh, its value or why there is none. So a secret
// that fails is asked for once.
type answers map[*cache.Entry[*Value]]answer

type answer struct {
	value *Value
	err   error
}

// of puts a binding's value together.
func (a answers) of(ctx context.Context, b *binding) (*Value, error) {
	get := func(r *reading) (*Value, error) {
		x, ok := a[r.entry]
		if !ok { // it was fresh
			return r.get(ctx)
		}
		v, err := x.value, x.err
		if err == nil {
			v, err = r.selectFrom(v)
		}
		if err != nil {
			return nil, located(r.ref, err)
		}
		return v, nil
	}
	if b.whole {
		return get(b.parts[0].reading)
	}
	return b.join(get)
}

// awaited is a load that this pass waits for; mine says that it began it.
type awaited struct {
	reading *reading
	flight  *cache.Flight[*Value]
	mine    bool
}

// fetch loads every entry that is not fresh, and returns when all have an answer or ctx has ended. The loads go on without
// the caller, since others may have joined them.
func (h *Host) fetch(ctx context.Context, bindings map[string]*binding) answers {
	waiting := stale(bindings)
	if len(waiting) == 0 {
		return nil
	}
	places := make(chan struct{}, parallelReads)
	batches := map[*member][]awaited{}
	for _, w := range waiting {
		if !w.mine {
			continue
		}
		if m := h.batchable(w.reading); m != nil {
			batches[m] = append(batches[m], w)
			continue
		}
		h.load(places, w)
	}
	for m, ws := range batches {
		if !h.spawn(func(ctx context.Context) { h.loadBatches(ctx, m, places, ws) }) {
			finishAll(ws, context.Canceled)
		}
	}
	out := make(answers, len(waiting))
	for _, w := range waiting {
		v, err := w.reading.entry.Wait(ctx, w.flight)
		out[w.reading.entry] = answer{v, err}
	}
	return out
}

// stale begins or joins the load of every entry that needs one.
func stale(bindings map[string]*binding) (out []awaited) {
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
			f, mine := r.entry.Begin()
			out = append(out, awaited{r, f, mine})
		}
	}
	return out
}

// load runs one load in one of the places.
func (h *Host) load(places chan struct{}, w awaited) {
	if !h.spawn(func(context.Context) {
		places <- struct{}{}
		defer func() { <-places }()
		w.flight.Run()
	}) {
		finishAll([]awaited{w}, context.Canceled)
	}
}

// batchable gives the store whose batch call can answer the reading: the current version of a secret of its own.
func (h *Host) batchable(r *reading) *member {
	ref := h.placed(r.ref)
	if ref.Kind != refs.Secret || ref.Version != "" {
		return nil
	}
	m := h.stores()[ref.Store]
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

// loadBatches loads the entries of one store, in batches where it has them.
func (h *Host) loadBatches(ctx context.Context, m *member, places chan struct{}, ws []awaited) {
	if len(ws) > 1 {
		bounded, cancel := context.WithTimeout(ctx, m.policy.LoadTimeout)
		can, err := m.store.Can(bounded)
		cancel()
		if err != nil {
			finishAll(ws, err)
			return
		}
		if can.Has(sdk.CanGetBatch) {
			for chunk := range slices.Chunk(ws, sdk.MaxBatch) {
				if !h.spawn(func(ctx context.Context) { h.loadBatch(ctx, m, places, chunk) }) {
					finishAll(chunk, context.Canceled)
				}
			}
			return
		}
	}
	for _, w := range ws {
		h.load(places, w)
	}
}

// loadBatch loads one batch. What the backend does not answer in one call is asked for by itself.
func (h *Host) loadBatch(ctx context.Context, m *member, places chan struct{}, chunk []awaited) {
	ctx, cancel := context.WithTimeout(ctx, m.policy.LoadTimeout)
	defer cancel()
	names := make([]string, len(chunk))
	for i, w := range chunk {
		names[i] = h.placed(w.reading.ref).Name
	}
	results, err := m.store.GetBatch(ctx, names)
	if errors.Is(err, store.ErrAskSingly) {
		m.singly.Add(1)
		for _, w := range chunk {
			h.load(places, w)
		}
		return
	}
	if err != nil {
		finishAll(chunk, err)
		return
	}
	for i, w := range chunk {
		switch err := results[i].Err; {
		case err == nil:
			w.flight.Finish(loaded(valueOf(m.name, names[i], results[i].Secret)), nil)
		case leftOut(err):
			h.load(places, w)
		default:
			w.flight.Finish(cache.Loaded[*Value]{}, err)
		}
	}
}

// leftOut reports an item that had no room in the batch's message.
func leftOut(err error) bool {
	e, ok := asError(err)
	return ok && e.Reason == dial.ReasonMessageLimit
}

func finishAll(ws []awaited, err error) {
	for _, w := range ws {
		w.flight.Finish(cache.Loaded[*Value]{}, err)
	}
}
