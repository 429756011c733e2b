package sdktest

import (
	"context"
	"fmt"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func closeChecks() []Check {
	return []Check{
		promise("close/forgets", "a closed store is unknown, and the error says so", sdk.CanGet, closeForgets).with(givenOpen),
		promise("close/again", "closing a store that is not open is no error", 0, closeAgain).with(givenOpen),
		promise("close/ends-watch", "Close ends a watch and does not wait for it", sdk.CanWatch, closeEndsWatch).with(givenOpen),
	}
}

func closeForgets(ctx context.Context, t *Target) error {
	st, err := t.opened(ctx)
	if err != nil {
		return err
	}
	if err := in("close", st.Close(ctx)); err != nil {
		return err
	}
	_, err = st.Get(ctx, sdk.GetRequest{Name: t.name()})
	if err := refused("get after close", err, sdk.FailedPrecondition); err != nil {
		return err
	}
	if !dial.IsUnknownStore(err) {
		return fmt.Errorf("get after close: the error does not say that the store is unknown (%w)", err)
	}
	return nil
}

func closeAgain(ctx context.Context, t *Target) error {
	st, err := t.opened(ctx)
	if err != nil {
		return err
	}
	if err := in("close", st.Close(ctx)); err != nil {
		return err
	}
	return in("close again", st.Close(ctx))
}

func closeEndsWatch(ctx context.Context, t *Target) error {
	st, err := t.opened(ctx)
	if err != nil {
		return err
	}
	w := watching(ctx, st)
	defer w.stop()
	if _, err := w.next(ctx, t); err != nil {
		return err
	}
	soon, cancel := t.soon(ctx)
	defer cancel()
	if err := in("close during a watch", st.Close(soon)); err != nil {
		return err
	}
	_, err = w.end(ctx, t)
	return err
}
