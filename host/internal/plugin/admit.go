package plugin

import (
	"context"
	"maps"
	"strings"

	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/sdk"
)

// Superseded is closed when a newer generation of the process has taken this one's place while this one still runs: stores
// then open there. This one ends when the last of them has left, or after a minute.
func (g *Generation) Superseded() <-chan struct{} { return g.superseded }

// Admit lets a store that has just opened touch what it reaches: the host dials its endpoints until Dismiss. again means
// that the store needs files, or ports of its own, which this process was not started with; then a process that has them
// is there, the opening is to be closed, and the store to be opened on Current.
//
// PermissionDenied means that a team's store reaches what no team may: files, the machine's own identity, or nobody knows
// what. FailedPrecondition with ErrEscalation means an endpoint that the lock file does not have, and without it a path that
// no plugin may touch.
func (g *Generation) Admit(ctx context.Context, handle string, r *sdk.Reach) (again bool, err error) {
	p := g.process
	if err := p.judge(g.verified, r); err != nil {
		return false, err
	}
	want, err := needOf(r, p.broker == nil)
	if err != nil {
		return false, sdk.Errorf(sdk.FailedPrecondition, "plugin %q: %w", p.binary.Provider, err)
	}
	if len(g.layers) > 0 && !g.need.covers(want) {
		return true, p.widenFor(ctx, storeOf(handle), want)
	}
	p.remember(storeOf(handle), want)
	if !g.hold(handle) {
		return true, nil
	}
	if p.broker != nil {
		p.broker.Allow(handle, r)
	}
	return false, nil
}

// remember keeps what a store needs for the starts to come, and gives what it needed before.
func (p *Process) remember(store string, want need) (before need) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.needs[store]
	p.needs[store] = want
	return before
}

// Keep forgets what stores needed that the process does not serve any more. A process that runs keeps what it was started
// with; the next one is not given it.
func (p *Process) Keep(serves func(store string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.needs, func(store string, _ need) bool { return !serves(store) })
}

// widenFor returns once the current generation covers what a store needs. Where no such generation starts, the next ones do
// without it.
func (p *Process) widenFor(ctx context.Context, store string, want need) error {
	before := p.remember(store, want)
	err := p.widen(ctx, want)
	if err != nil && ctx.Err() == nil {
		p.remember(store, before)
	}
	return err
}

// Dismiss undoes Admit, once the opening is closed. It may be called for one that was not admitted.
func (g *Generation) Dismiss(handle string) {
	if b := g.process.broker; b != nil {
		b.Forget(handle)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.holders, handle)
	g.vacate()
}

// storeOf gives the store's name of a handle, which is "NAME~N".
func storeOf(handle string) string {
	name, _, _ := strings.Cut(handle, "~")
	return name
}

// hold counts a holder; false when the generation is superseded.
func (g *Generation) hold(handle string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leaving {
		return false
	}
	g.holders[handle] = true
	return true
}

// supersede tells the holders that a newer generation is there.
func (g *Generation) supersede() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving = true
	close(g.superseded)
	g.vacate()
}

// vacate tells that the last holder has left a superseded generation. g.mu is held.
func (g *Generation) vacate() {
	if !g.leaving || len(g.holders) > 0 {
		return
	}
	select {
	case <-g.vacated:
	default:
		close(g.vacated)
	}
}

// judge holds what a store reaches against the cell's rules and the lock file.
func (p *Process) judge(v *Verified, r *sdk.Reach) error {
	if p.cell.Kind == Team {
		if err := judgeTeam(r); err != nil {
			return sdk.Errorf(sdk.PermissionDenied, "plugin %q: %w", p.binary.Provider, err)
		}
	}
	if r == nil {
		return nil
	}
	return v.PermitEndpoints(r.Endpoints)
}

func judgeTeam(r *sdk.Reach) error {
	switch {
	case r == nil:
		return sdk.Errorf(sdk.PermissionDenied, "the store does not tell what it reaches, so no team may use it")
	case r.Ambient:
		return sdk.Errorf(sdk.PermissionDenied, "the store uses the machine's own identity, which is not a team's to borrow")
	case len(r.Files) > 0 || len(r.Writes) > 0:
		return sdk.Errorf(sdk.PermissionDenied, "the store uses the local file %q, which is not a team's to read", append(r.Files, r.Writes...)[0])
	}
	return nil
}

// wider asks for a generation that may do more.
type wider struct {
	want   need
	answer chan error
}

// widen returns once the current generation covers want, which p.needs has.
func (p *Process) widen(ctx context.Context, want need) error {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		g, err := p.Current(ctx)
		if err != nil {
			return err
		}
		if g.need.covers(want) {
			return nil
		}
		w := wider{want, make(chan error, 1)}
		select {
		case p.wider <- w:
			select {
			case err := <-w.answer:
				if err != nil {
					return err
				}
			case <-ctx.Done():
				return waiting(ctx, p.binary)
			}
		case <-changed:
		case <-p.done:
			return sdk.Errorf(sdk.Unavailable, "plugin %q: %w", p.binary.Provider, ErrStopped)
		case <-ctx.Done():
			return waiting(ctx, p.binary)
		}
	}
}

func waiting(ctx context.Context, b Binary) error {
	return sdk.Errorf(sdk.CodeOf(ctx.Err()), "plugin %q: waiting for a process that may reach what the store needs: %w", b.Provider, ctx.Err())
}

// order gives the next start. The bytes are verified once: what is started again is what was verified, whatever has become
// of the file.
func (p *Process) order(ctx context.Context, number int) (order, error) {
	if p.verified == nil { // only run's goroutine comes here
		v, err := p.catalog.Verify(ctx, p.binary)
		if err != nil {
			return order{}, err
		}
		for _, w := range v.Warnings {
			p.catalog.opts.Logger.Warn("plugin can be trusted less than it could", "plugin", p.binary.Provider, "warning", w)
		}
		p.mu.Lock()
		p.verified = v
		p.mu.Unlock()
	}
	o := order{verified: p.verified, cell: p.cell, broker: p.broker, number: number}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.needs {
		o.need = o.need.with(n)
	}
	return o, nil
}

// network is how the process reaches the network, for status.
func (p *Process) network() string {
	if p.broker == nil {
		return string(sandbox.Direct)
	}
	return string(sandbox.Brokered)
}

// Identity gives the version and the digest of what runs or ran last; empty before the first start.
func (p *Process) Identity() (version, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.verified == nil {
		return "", ""
	}
	return p.status.Version, p.verified.Image.Digest().String()
}
