package example

import (
	"context"
	"sync"
)

// Fail makes every call on name fail with err, or every call at all where name is empty. A nil err ends it. An *sdk.Error
// reaches the caller as it is; other errors are classified.
func (b *Backend) Fail(name string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.fails, name)
		return
	}
	b.fails[name] = err
}

// Hang makes every call on name wait, or every call at all where name is empty, until its context ends or release is
// called. Calling Hang again for a name that hangs, or release twice, changes nothing.
func (b *Backend) Hang(name string) (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gate := b.hangs[name]
	if gate == nil {
		gate = make(chan struct{})
		b.hangs[name] = gate
	}
	return sync.OnceFunc(func() { b.release(name, gate) })
}

func (b *Backend) release(name string, gate chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hangs[name] == gate {
		delete(b.hangs, name)
		close(gate)
	}
}

// Calls is the number of calls that stores have made. A batch is one call; opening and closing are none. A call counts
// when it begins, so a test may wait for a call that hangs.
func (b *Backend) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// CallsOf is the number of calls of one operation on one name. op is the capability's word, "get" or "get_batch", or
// "check"; a batch counts once for each of its names, a list for its prefix, encrypt and decrypt for their key, check and
// watch for the prefix of the settings.
func (b *Backend) CallsOf(op, name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[call{op, name}]
}

// arrive counts one call on some names.
func (b *Backend) arrive(op string, names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	for _, n := range names {
		b.calls[call{op, n}]++
	}
}

// admit waits while calls on name hang, then gives the error that they fail with.
func (b *Backend) admit(ctx context.Context, name string) error {
	for {
		gate, err := b.fault(name)
		if gate == nil {
			return err
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Backend) fault(name string) (gate chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range []string{"", name} {
		if g := b.hangs[n]; g != nil {
			return g, nil
		}
		if err == nil {
			err = b.fails[n]
		}
	}
	return nil, err
}
