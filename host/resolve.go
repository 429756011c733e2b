package host

import (
	"context"
	"errors"
	"time"
)

// Resolve gives the value that a reference, or a text with references inside, names: from the cache while it is fresh.
// Errors are NotFound, FailedPrecondition, PermissionDenied, Unavailable and the others of the store, InvalidArgument for
// a malformed reference or a pointer into what is no JSON, and Canceled or DeadlineExceeded when ctx ends first.
func (h *Host) Resolve(ctx context.Context, ref string) (*Value, error) {
	if b, ok := h.bindings.Load(ref); ok {
		if v, err, ok := b.fresh(); ok {
			h.audit.read(ctx, b, v, err, time.Time{})
			return v, err
		}
	}
	begun := time.Now()
	b, err := h.bind(ref)
	if err != nil {
		h.audit.refused(ctx, err)
		return nil, err
	}
	v, err := b.get(ctx)
	h.audit.read(ctx, b, v, err, begun)
	return v, err
}

// Resolved is the answer to one of several references: its value, or why there is none.
type Resolved struct {
	Reference string
	Value     *Value
	Err       error
}

// ResolveAll resolves many references in one pass, as [Host.ResolveEach]. The map holds what could be resolved, by the text
// that asked; the error joins everything that could not, each with its reference.
func (h *Host) ResolveAll(ctx context.Context, references ...string) (map[string]*Value, error) {
	var failed []error
	out := make(map[string]*Value, len(references))
	told := map[string]bool{}
	for _, r := range h.ResolveEach(ctx, references...) {
		switch {
		case r.Err == nil:
			out[r.Reference] = r.Value
		case !told[r.Reference]:
			told[r.Reference] = true
			failed = append(failed, r.Err)
		}
	}
	return out, errors.Join(failed...)
}

// ResolveEach resolves many references in one pass: each secret is read once, in batches where the store has them and in
// parallel where not. It gives an answer for each reference, in the order asked for.
func (h *Host) ResolveEach(ctx context.Context, references ...string) []Resolved {
	type bound struct {
		binding *binding
		err     error
	}
	begun := time.Now()
	asked := make(map[string]bound, len(references))
	bindings := make(map[string]*binding, len(references))
	for _, text := range references {
		if _, ok := asked[text]; ok {
			continue
		}
		b, err := h.bind(text)
		asked[text], bindings[text] = bound{b, err}, b
	}
	answers := h.fetch(ctx, bindings)
	out := make([]Resolved, len(references))
	for i, text := range references {
		a := asked[text]
		out[i] = Resolved{Reference: text, Err: a.err}
		if a.err != nil {
			h.audit.refused(ctx, a.err)
			continue
		}
		out[i].Value, out[i].Err = answers.of(ctx, a.binding)
		h.audit.read(ctx, a.binding, out[i].Value, out[i].Err, begun)
	}
	return out
}
