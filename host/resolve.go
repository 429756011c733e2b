package host

import (
	"context"
	"errors"
)

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
	answers := h.fetch(ctx, bindings)
	out := make(map[string]*Value, len(bindings))
	for _, text := range references {
		b := bindings[text]
		if b == nil {
			continue
		}
		bindings[text] = nil // each once, in the order asked for
		v, err := answers.of(ctx, b)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		out[text] = v
	}
	return out, errors.Join(failed...)
}
