package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Between tries for a lock that another process holds. A write takes a few milliseconds.
const (
	lockWaitMin = time.Millisecond
	lockWaitMax = 50 * time.Millisecond
)

// lock takes the lock file at path and answers how to release it. It waits until ctx ends. The system releases the lock of a
// process that dies. The file stays, because removing it would let two processes hold a lock each.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	wait := lockWaitMin
	for {
		held, unlock, err := tryLockFile(path)
		if err != nil || held {
			return unlock, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			wait = min(2*wait, lockWaitMax)
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%s is held by another writer: %w", path, ctx.Err())
		}
	}
}

func tryLockFile(path string) (held bool, unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, nil, err
	}
	release := func() { _ = f.Close() } // closing releases
	if held, err = tryLock(f); err != nil || !held {
		release()
		return false, nil, err
	}
	return true, release, nil
}
