package example

import (
	"context"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Watch reports changes until ctx ends. It subscribes before it says so with an empty event: what changes in between is
// reported, and the host, which reads everything anew on that event, misses nothing.
func (st *store) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	if _, err := st.call(ctx, "watch", ""); err != nil {
		return err
	}
	w := st.data.subscribe()
	defer st.data.unsubscribe(w)
	if err := emit(sdk.Event{}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		for _, e := range st.data.take(w) {
			name, ours := strings.CutPrefix(e.Name, st.settings.Prefix)
			if !ours && e.Name != "" {
				continue
			}
			if err := emit(sdk.Event{Name: name, Version: e.Version}); err != nil {
				return err
			}
		}
	}
}
