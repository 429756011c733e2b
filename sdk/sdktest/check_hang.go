package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func hangChecks() []Check {
	return []Check{
		promise("hang/canceled", "a call that waits for the backend ends as Canceled when its caller leaves", sdk.CanGet, hangCanceled).with(givenHanging),
		promise("hang/deadline", "a call that waits for the backend ends as DeadlineExceeded with its deadline", sdk.CanGet, hangDeadline).with(givenHanging),
		promise("hang/close", "a call whose caller left does not hold up Close, whatever the backend does", sdk.CanGet, hangClose).with(givenHanging),
		promise("hang/other-stores", "a store whose backend hangs holds up no other store", sdk.CanGet, hangOtherStores).with(givenHanging),
		promise("down/unavailable", "a backend that is not there is Unavailable", sdk.CanGet, downUnavailable).with(givenAddress),
	}
}

// blink is how long a call on a target's own Hanging store is left alone: long enough to reach the backend.
const blink = 50 * time.Millisecond

// stuck is a store whose backend does not answer.
type stuck struct {
	store   *dial.Store
	reached func() error // waits until a call has reached the backend
	done    func()       // ends the backend and closes the store
}

func (t *Target) hanging(ctx context.Context) (stuck, error) {
	if t.Hanging != nil {
		st, err := t.Hanging(ctx)
		wait := func() error { <-time.After(blink); return nil }
		return stuck{st, wait, func() { _ = st.Close(ctx) }}, in("open", err)
	}
	hole, err := newBlackHole()
	if err != nil {
		return stuck{}, err
	}
	st, err := t.Plugin.Open(ctx, handle(), t.SettingsAt(hole.address()))
	if err != nil {
		hole.close()
		return stuck{}, in("open while the backend does not answer", err)
	}
	done := func() { hole.close(); _ = st.Close(ctx) }
	return stuck{st, func() error { return hole.reached(t.patience()) }, done}, nil
}

// get reads from the store until ctx ends. It answers when the call is at the backend, and the call's error later.
func (s stuck) get(ctx context.Context, t *Target) (result <-chan error, err error) {
	out := make(chan error, 1)
	go func() {
		_, err := s.store.Get(ctx, sdk.GetRequest{Name: t.name()})
		out <- err
	}()
	if err := s.reached(); err != nil {
		return nil, fmt.Errorf("get on a backend that does not answer: it was not reached: %w", err)
	}
	return out, nil
}

// within waits for the error of a call that must have ended soon.
func within(ctx context.Context, t *Target, call string, result <-chan error) (ended, err error) {
	ctx, cancel := t.soon(ctx)
	defer cancel()
	select {
	case ended := <-result:
		return ended, nil
	case <-ctx.Done():
		return nil, errors.New(call + ": still runs")
	}
}

// leave makes a call and leaves it.
func (s stuck) leave(ctx context.Context, t *Target) (ended, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result, err := s.get(ctx, t)
	if err != nil {
		return nil, err
	}
	cancel()
	return within(context.WithoutCancel(ctx), t, "get whose caller left", result)
}

func hangCanceled(ctx context.Context, t *Target) error {
	s, err := t.hanging(ctx)
	if err != nil {
		return err
	}
	defer s.done()
	ended, err := s.leave(ctx, t)
	if err != nil {
		return err
	}
	return refused("get whose caller left", ended, sdk.Canceled)
}

func hangDeadline(ctx context.Context, t *Target) error {
	s, err := t.hanging(ctx)
	if err != nil {
		return err
	}
	defer s.done()
	short, cancel := context.WithTimeout(ctx, blink)
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := s.store.Get(short, sdk.GetRequest{Name: t.name()})
		result <- err
	}()
	ended, err := within(ctx, t, "get past its deadline", result)
	if err != nil {
		return err
	}
	return refused("get past its deadline", ended, sdk.DeadlineExceeded)
}

func hangClose(ctx context.Context, t *Target) error {
	s, err := t.hanging(ctx)
	if err != nil {
		return err
	}
	defer s.done()
	if _, err := s.leave(ctx, t); err != nil {
		return err
	}
	soon, cancel := t.soon(ctx)
	defer cancel()
	return in("close after a get whose caller left", s.store.Close(soon))
}

func hangOtherStores(ctx context.Context, t *Target) error {
	s, err := t.hanging(ctx)
	if err != nil {
		return err
	}
	defer s.done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := s.get(ctx, t); err != nil {
		return err
	}
	soon, cancel := t.soon(ctx)
	defer cancel()
	_, err = t.Store.Check(soon)
	return in("check of another store", err)
}

func downUnavailable(ctx context.Context, t *Target) error {
	address, err := deadAddress()
	if err != nil {
		return err
	}
	st, err := t.Plugin.Open(ctx, handle(), t.SettingsAt(address))
	if err != nil {
		return in("open while the backend is down", err)
	}
	defer st.Close(ctx)
	_, err = st.Get(ctx, sdk.GetRequest{Name: t.name()})
	if err := refused("get while the backend is down", err, sdk.Unavailable); err != nil {
		return err
	}
	_, err = st.Check(ctx)
	return refused("check while the backend is down", err, sdk.Unavailable)
}
