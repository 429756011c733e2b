package serve

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/internal/wire"
)

// freeBound is how long a store gets to free what it holds after the host has stopped waiting for it.
const freeBound = 2 * time.Second

// table holds the open stores by handle. A handle names one opening: it is opened once, pinned by each call, closed once.
type table struct {
	mu      sync.Mutex
	entries map[string]*entry
	freeing sync.WaitGroup // closes whose store is not freed yet
}

// entry is one opening. opened and err are set before ready is closed, and never change afterwards.
type entry struct {
	handle string
	digest [sha256.Size]byte // of the settings, which nobody keeps
	ready  chan struct{}
	opened *sdk.Opened
	err    error

	calls   sync.WaitGroup  // grows only under table.mu, while the entry is in the table
	alive   context.Context // ends when calls shall be given up
	giveUp  context.CancelFunc
	open    context.Context // ends when the store is being closed; watches end with it
	closing context.CancelFunc
}

func newEntry(handle string, digest [sha256.Size]byte) *entry {
	e := &entry{handle: handle, digest: digest, ready: make(chan struct{})}
	e.alive, e.giveUp = context.WithCancel(context.Background())
	e.open, e.closing = context.WithCancel(e.alive)
	return e
}

// claim gives the entry of a handle, and whether the caller is the one that must open it.
func (t *table) claim(handle string, digest [sha256.Size]byte) (e *entry, mine bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[handle]
	switch {
	case !ok:
		e = newEntry(handle, digest)
		t.entries[handle] = e
		return e, true, nil
	case e.digest != digest:
		return nil, false, sdk.Errorf(sdk.AlreadyExists, "open %q: the handle is open with other settings", handle)
	}
	return e, false, nil
}

// settle ends an opening. One that failed leaves the table, so that the handle may be tried again.
func (t *table) settle(e *entry, opened *sdk.Opened, err error) {
	e.opened, e.err = opened, err
	if err != nil {
		t.mu.Lock()
		if t.entries[e.handle] == e {
			delete(t.entries, e.handle)
		}
		t.mu.Unlock()
		e.giveUp()
	}
	close(e.ready)
}

// pin keeps a store open for one call; unpin it with calls.Done. A handle whose Open has not been answered is not open.
func (t *table) pin(handle string) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[handle]
	if !ok {
		return nil, wire.UnknownStore(handle)
	}
	select {
	case <-e.ready:
	default:
		return nil, wire.UnknownStore(handle)
	}
	if e.err != nil {
		return nil, wire.UnknownStore(handle)
	}
	e.calls.Add(1)
	return e, nil
}

// close ends a store's watches, waits for its calls and frees it. A handle that is not open is closed already. When ctx
// ends first, the calls are cancelled and the store is freed behind them.
func (t *table) close(ctx context.Context, handle string) error {
	t.mu.Lock()
	e, ok := t.entries[handle]
	if !ok {
		t.mu.Unlock()
		return nil
	}
	delete(t.entries, handle)
	t.freeing.Add(1)
	t.mu.Unlock()

	e.closing()
	done := make(chan error, 1)
	go func() {
		defer t.freeing.Done()
		done <- e.free(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		e.giveUp()
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "close %q: calls on it have not returned, and were cancelled: %w", handle, ctx.Err())
	}
}

// free waits for the opening and the calls, then closes the store.
func (e *entry) free(ctx context.Context) (err error) {
	defer e.giveUp()
	<-e.ready
	if e.err != nil {
		return nil
	}
	e.calls.Wait()
	if ctx.Err() != nil {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeBound)
		defer cancel()
		ctx = bounded
	}
	defer func() {
		if x := recover(); x != nil {
			err = panicked(ctx, "Close", x)
		}
	}()
	return e.opened.Store.Close(ctx)
}

// closeAll closes every store, all at once, and waits until they are freed or ctx ends.
func (t *table) closeAll(ctx context.Context) {
	t.mu.Lock()
	handles := make([]string, 0, len(t.entries))
	for h := range t.entries {
		handles = append(handles, h)
	}
	t.mu.Unlock()
	freed := make(chan struct{})
	go func() {
		defer close(freed)
		var all sync.WaitGroup
		for _, h := range handles {
			all.Go(func() { _ = t.close(ctx, h) })
		}
		all.Wait()
		t.freeing.Wait()
	}()
	select {
	case <-freed:
	case <-ctx.Done():
	}
}
