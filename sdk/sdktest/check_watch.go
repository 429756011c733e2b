package sdktest

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func watchChecks() []Check {
	return []Check{
		promise("watch/begins", "the first event of a watch is the empty one: from here on it reports", sdk.CanWatch, watchBegins),
		promise("watch/reports", "a watch reports a secret that changes, by name or with an empty event", sdk.CanWatch|sdk.CanPut, watchReports),
		promise("watch/ends", "a watch ends when its caller leaves", sdk.CanWatch, watchEnds),
	}
}

// watch is a Watch that runs on its own.
type watch struct {
	events chan sdk.Event
	ended  chan error
	stop   context.CancelFunc
}

func watching(ctx context.Context, st *dial.Store) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{events: make(chan sdk.Event), ended: make(chan error, 1), stop: cancel}
	go func() {
		w.ended <- st.Watch(ctx, func(e sdk.Event) error {
			select {
			case w.events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return w
}

// next waits for an event.
func (w *watch) next(ctx context.Context, t *Target) (sdk.Event, error) {
	ctx, cancel := t.soon(ctx)
	defer cancel()
	select {
	case e := <-w.events:
		return e, nil
	case err := <-w.ended:
		return sdk.Event{}, fmt.Errorf("watch: ended by itself, code %s (%w)", sdk.CodeOf(err).String(), err)
	case <-ctx.Done():
		return sdk.Event{}, errors.New("watch: no event")
	}
}

// end waits until the watch is over and answers what it ended with.
func (w *watch) end(ctx context.Context, t *Target) (ended, err error) {
	ctx, cancel := t.soon(ctx)
	defer cancel()
	for {
		select {
		case <-w.events:
		case ended := <-w.ended:
			return ended, nil
		case <-ctx.Done():
			return nil, errors.New("watch: still runs")
		}
	}
}

func watchBegins(ctx context.Context, t *Target) error {
	w := watching(ctx, t.Store)
	defer w.stop()
	e, err := w.next(ctx, t)
	if err != nil {
		return err
	}
	if e != (sdk.Event{}) {
		return fmt.Errorf("watch: the first event names %q, want the empty event", e.Name)
	}
	return nil
}

func watchReports(ctx context.Context, t *Target) error {
	w := watching(ctx, t.Store)
	defer w.stop()
	if _, err := w.next(ctx, t); err != nil {
		return err
	}
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	for {
		switch e, err := w.next(ctx, t); {
		case err != nil:
			return fmt.Errorf("after put %q: %w", name, err)
		case e.Name == name, e.Name == "":
			return nil
		}
	}
}

func watchEnds(ctx context.Context, t *Target) error {
	w := watching(ctx, t.Store)
	defer w.stop()
	if _, err := w.next(ctx, t); err != nil {
		return err
	}
	w.stop()
	ended, err := w.end(ctx, t)
	if err != nil {
		return err
	}
	return refused("watch whose caller left", ended, sdk.Canceled)
}
