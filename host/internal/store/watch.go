package store

import (
	"context"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// watchRetry is the pause before a watch that ended is begun again.
const watchRetry = 5 * time.Second

// watch follows what the opening reports for as long as it is current. It does not pin the opening: closing ends it.
func (s *Store) watch(o *opening) {
	if s.spec.Changed == nil || !(o.can & s.spec.Allow).Has(sdk.CanWatch) {
		return
	}
	s.table.spawn(func(context.Context) {
		for o.ctx.Err() == nil && o.alive() {
			err := o.handle.Watch(o.ctx, func(e sdk.Event) error {
				s.spec.Changed(e)
				return nil
			})
			if o.ctx.Err() != nil {
				return
			}
			s.spec.Logger.Debug("watch ended", "store", s.spec.Name, "code", sdk.CodeOf(err).String())
			t := time.NewTimer(watchRetry)
			select {
			case <-t.C:
			case <-o.ctx.Done():
			case <-o.session.Done():
			}
			t.Stop()
		}
	})
}
