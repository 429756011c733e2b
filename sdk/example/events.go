package example

import "github.com/keyway-dev/keyway/sdk"

// maxPending is how many events wait for a slow watcher. Beyond them it hears that anything may have changed.
const maxPending = 256

// watcher collects events between two looks. wake has room for one signal.
type watcher struct {
	wake    chan struct{}
	pending []sdk.Event
}

func (d *dataset) subscribe() *watcher {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1)}
	d.watchers[w] = true
	return w
}

func (d *dataset) unsubscribe(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watchers, w)
}

// notify never waits for a watcher. The caller holds the lock.
func (d *dataset) notify(e sdk.Event) {
	for w := range d.watchers {
		if len(w.pending) == maxPending {
			w.pending = []sdk.Event{{}}
		} else {
			w.pending = append(w.pending, e)
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (d *dataset) take(w *watcher) []sdk.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := w.pending
	w.pending = nil
	return out
}
