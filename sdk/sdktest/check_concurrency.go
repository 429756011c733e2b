package sdktest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	readers = 32
	writers = 8
)

func concurrencyChecks() []Check {
	return []Check{
		promise("concurrent/readers", "32 callers read at once, each its own secret's value", putGet, concurrentReaders),
		promise("concurrent/writers", "writers of different names do not disturb each other", putGet, concurrentWriters),
		promise("concurrent/if-absent", "of writers that race with IfAbsent exactly one wins, and its value stays", putGet|sdk.CanPutIfAbsent, concurrentIfAbsent),
		promise("concurrent/if-version", "of writers that race with one IfVersion exactly one wins, and its value stays", putGet|sdk.CanPutIfVersion, concurrentIfVersion),
	}
}

// together runs n calls at once, waits for all, and joins what they answered.
func together(n int, call func(i int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

func concurrentReaders(ctx context.Context, t *Target) error {
	const secrets, rounds = 4, 8
	var names [secrets]string
	var values [secrets]sdk.Sensitive
	for i := range names {
		var err error
		if names[i], values[i], _, err = t.create(ctx); err != nil {
			return err
		}
	}
	return together(readers, func(i int) error {
		for r := range rounds {
			k := (i + r) % secrets
			if err := t.holds(ctx, names[k], values[k]); err != nil {
				return err
			}
		}
		return nil
	})
}

func concurrentWriters(ctx context.Context, t *Target) error {
	return together(writers, func(int) error {
		name, value, _, err := t.create(ctx)
		if err != nil {
			return err
		}
		return t.holds(ctx, name, value)
	})
}

func concurrentIfAbsent(ctx context.Context, t *Target) error {
	return t.race(ctx, t.name(), sdk.IfAbsent(), sdk.AlreadyExists)
}

func concurrentIfVersion(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	version, err := t.currentVersion(ctx, name)
	if err != nil {
		return err
	}
	return t.race(ctx, name, sdk.IfVersion(version), sdk.Aborted)
}

// race lets writers put under one condition: one must win, the others lose with the code.
func (t *Target) race(ctx context.Context, name string, condition sdk.Precondition, lost sdk.Code) error {
	values := make([]sdk.Sensitive, writers)
	won := make([]bool, writers)
	err := together(writers, func(i int) error {
		values[i] = t.value()
		_, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: values[i], If: condition})
		won[i] = err == nil
		return refused("put in a race", err, sdk.OK, lost)
	})
	if err != nil {
		return err
	}
	winner, winners := 0, 0
	for i, w := range won {
		if w {
			winner, winners = i, winners+1
		}
	}
	if winners != 1 {
		return fmt.Errorf("of %d writers that race %d won, want one", writers, winners)
	}
	return t.holds(ctx, name, values[winner])
}
