package host

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Rollback undoes the last swap of a provider. While that is watched, the former plugin is warm and its stores go back at
// once; later it is a swap to the version that ran before. NotFound when nothing was swapped since the host was opened; the
// other errors are those of Swap.
func (h *Host) Rollback(ctx context.Context, provider string, progress func(SwapStep)) error {
	if !h.swaps.mu.TryLock() {
		return sdk.Errorf(sdk.Aborted, "roll back %s: a swap is running; wait for it", provider)
	}
	defer h.swaps.mu.Unlock()
	return h.administer(ctx, "rollback", provider, "", func(ctx context.Context) error { return h.rollback(ctx, provider, steps(progress)) })
}

func (h *Host) rollback(ctx context.Context, provider string, tell func(step, format string, args ...any)) error {
	t := h.swaps.trials[provider]
	if t == nil {
		return sdk.Errorf(sdk.NotFound, "roll back %s: nothing was swapped since the host started", provider)
	}
	delete(h.swaps.trials, provider)
	select {
	case t.verdict <- byOperator:
		select {
		case <-t.done:
		case <-ctx.Done():
			return sdk.Errorf(sdk.CodeOf(ctx.Err()), "roll back %s: it goes on: %w", provider, ctx.Err())
		}
		if t.undone.Load() && t.reason == byOperator {
			tell("rollback", "%s -> %s", strings.Join(namesOf(slices.Collect(maps.Keys(t.members))), ", "), t.from)
			tell("done", "%s runs %s", provider, t.from)
			return nil
		}
	case <-t.done:
	}
	if t.undone.Load() {
		return sdk.Errorf(sdk.FailedPrecondition, "roll back %s: it was rolled back already: %s", provider, t.reason)
	}
	back := Swap{Plugin: provider, Version: t.from, Stores: t.swap.Stores, Ephemeral: t.swap.Ephemeral, Watch: -1}
	return h.swap(ctx, back, tell)
}
