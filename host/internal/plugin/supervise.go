package plugin

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/internal/plugin/broker"
	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/sdk"
)

// Process keeps one generation of a plugin running, from the first call of Current until Stop. It is safe for concurrent
// use.
type Process struct {
	catalog *Catalog
	binary  Binary
	cell    Cell
	broker  *broker.Broker             // nil: its processes dial by themselves
	wider   chan wider                 // run takes from it while a generation is ready
	now     atomic.Pointer[Generation] // the ready one: Current's fast path

	mu       sync.Mutex
	verified *Verified       // from the first start on
	needs    map[string]need // of each store that was admitted, by name
	draining sync.WaitGroup
	status   Status
	tail     *output.Tail  // of the running or last generation
	fails    int           // starts that failed, ever
	changed  chan struct{} // closed and replaced when status changes
	cancel   context.CancelFunc
	hurry    context.CancelFunc // makes a stop kill at once
	done     chan struct{}      // closed when nothing runs any more; nil before the first start
}

// tolerated is how long callers wait for a restart that is due; they fail at once where it takes longer.
const tolerated = time.Second

// drainBound is how long a superseded generation may finish calls.
const drainBound = time.Minute

// Supervise returns a supervised plugin. It is verified and started when it is needed.
func (c *Catalog) Supervise(b Binary, cell Cell) *Process {
	if cell.Kind == "" {
		cell.Kind = Shared
	}
	return &Process{catalog: c, binary: b, cell: cell, broker: c.newBroker(b, cell), changed: make(chan struct{}), needs: map[string]need{},
		wider:  make(chan wider),
		status: Status{Provider: b.Provider, Version: b.Version, Path: b.Path, State: Idle, Since: time.Now(), Cell: cell}}
}

// Binary is what the process runs.
func (p *Process) Binary() Binary { return p.binary }

// Current gives the running generation. It starts the first one, and waits for a start that is running or due within a
// second. The errors are Unavailable with the reason, the last lines the plugin printed and RetryAfter, or those of ctx. The
// generation may end at any moment: a call that fails then may ask again for the next one.
func (p *Process) Current(ctx context.Context) (*Generation, error) {
	if g := p.now.Load(); g != nil && !g.lost() {
		return g, nil
	}
	p.mu.Lock()
	p.begin()
	failed := p.fails
	for {
		g, err := p.settle(ctx, failed)
		changed := p.changed
		p.mu.Unlock()
		if g != nil || err != nil {
			return g, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, sdk.Errorf(sdk.CodeOf(ctx.Err()), "plugin %q: not ready yet: %w", p.binary.Provider, ctx.Err())
		}
		p.mu.Lock()
	}
}

// Stop ends the plugin for good and waits until its process has ended: at most 3 s and the time of a kill, or less when ctx
// ends, which kills at once and is an error. Calls of Current fail from then on. Stopping again is fine.
func (p *Process) Stop(ctx context.Context) error {
	p.mu.Lock()
	if p.done == nil {
		p.set(Stopped)
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	p.cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-p.done:
		return nil
	default:
		p.hurry()
		<-p.done
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "stop plugin %q: killed before it had finished: %w", p.binary.Provider, ctx.Err())
	}
}

// settle gives what Current can answer by now, or neither when it has to wait. failed is the number of failed starts when
// the caller came: it waits for one start, not for a second after that failed. p.mu is held.
func (p *Process) settle(ctx context.Context, failed int) (*Generation, error) {
	if g := p.now.Load(); g != nil && !g.lost() {
		return g, nil
	}
	s := p.status
	if s.State == Stopping || s.State == Stopped {
		return nil, sdk.Errorf(sdk.Unavailable, "plugin %q: %w", s.Provider, ErrStopped)
	}
	if s.State != Backoff && s.State != Failed {
		return nil, nil
	}
	wait := time.Until(s.RetryAt)
	deadline, bounded := ctx.Deadline()
	if s.State == Backoff && p.fails == failed && wait <= tolerated && (!bounded || s.RetryAt.Before(deadline)) {
		return nil, nil
	}
	code := sdk.Unavailable
	if sdk.CodeOf(s.LastError) == sdk.FailedPrecondition { // it may not run, and waiting does not change that
		code = sdk.FailedPrecondition
	}
	err := sdk.Errorf(code, "plugin %q is not running: %w", s.Provider, s.LastError)
	err.RetryAfter = max(wait, time.Millisecond)
	return nil, err
}

// begin starts the supervision, once. p.mu is held.
func (p *Process) begin() {
	if p.status.State != Idle {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // Stop ends both
	patient, hurry := context.WithCancel(context.Background())
	p.cancel, p.hurry, p.done = cancel, hurry, make(chan struct{})
	p.set(Starting)
	go func() {
		defer close(p.done)
		defer hurry()
		p.run(ctx, patient)
	}()
}

// run owns the generations: it starts them, waits for their end and releases them, until ctx ends; the last one is stopped
// patiently until the other context ends.
func (p *Process) run(ctx, patient context.Context) {
	defer p.finish()
	log := p.catalog.opts.Logger.With("plugin", p.binary.Provider)
	pace := newPace()
	for restarts := 0; ctx.Err() == nil; restarts++ {
		p.trying(restarts)
		var how end
		g, err := p.launch(ctx, log)
		for begun := time.Now(); err == nil; {
			next := p.live(ctx, patient, log, g)
			if next == nil {
				how = end{ready: true, lived: time.Since(begun), outside: g.struck()}
				err = g.ended()
				break
			}
			g = next
		}
		if ctx.Err() != nil {
			break
		}
		wait, failed := pace.next(how)
		p.rest(ctx, log, wait, failed, err)
	}
}

// trying notes that a start begins. That of a plugin that has failed is only a trial, which nobody waits for.
func (p *Process) trying(restarts int) {
	state := Starting
	if p.Status().State == Failed {
		state = Failed
	}
	p.update(state, func(s *Status) { s.Restarts = restarts })
}

// rest waits before the next start.
func (p *Process) rest(ctx context.Context, log *slog.Logger, wait time.Duration, failed bool, err error) {
	state := Backoff
	if failed {
		state = Failed
	}
	log.Warn("plugin is down", "generation", p.Status().Generation, "error", err, "restart_in", wait)
	p.update(state, func(s *Status) { s.LastError, s.RetryAt = err, time.Now().Add(wait) })
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// finish frees what the process holds when nothing runs any more.
func (p *Process) finish() {
	p.draining.Wait()
	if p.broker != nil {
		p.broker.Close()
	}
	p.mu.Lock()
	v := p.verified
	p.mu.Unlock()
	if v != nil {
		v.Close()
	}
	p.update(Stopped, func(*Status) {})
}

// launch starts a generation, which becomes the current one.
func (p *Process) launch(ctx context.Context, log *slog.Logger) (*Generation, error) {
	begun, tail := time.Now(), &output.Tail{}
	p.mu.Lock()
	number := p.status.Generation + 1
	p.status.Generation = number
	p.tail = tail
	p.mu.Unlock()
	o, err := p.order(ctx, number)
	var g *Generation
	if err == nil {
		o.tail = tail
		p.tell("start", 0, number, nil)
		g, err = p.catalog.start(ctx, o)
	}
	if err != nil {
		p.notStarted(number, err)
		return nil, err
	}
	log.Info("plugin is ready", "generation", number, "version", g.manifest.Version, "digest", o.verified.Image.Digest(), "pid", g.PID(),
		"confined_by", g.layers, "took", time.Since(begun))
	g.process = p
	p.mu.Lock()
	p.now.Store(g)
	p.status.PID, p.status.Version = g.PID(), g.manifest.Version
	p.set(Ready)
	p.mu.Unlock()
	p.tell("ready", g.PID(), number, nil)
	return g, nil
}

// live waits for the end of a generation, or ends it when ctx ends, and gives nil. Where stores need more than it was started
// with, it gives a wider one, which has taken its place.
func (p *Process) live(ctx, patient context.Context, log *slog.Logger, g *Generation) (next *Generation) {
	ready := time.Now()
	for {
		select {
		case <-g.gone:
			p.now.CompareAndSwap(g, nil)
			g.release()
			p.record(g, ready)
			return nil
		case <-ctx.Done():
			p.now.Store(nil)
			p.update(Stopping, func(*Status) {})
			g.stop(patient, p.catalog.stop)
			p.tell("stop", g.PID(), g.number, nil)
			return nil
		case w := <-p.wider:
			if g.need.covers(w.want) {
				w.answer <- nil
				continue
			}
			wide, err := p.launch(ctx, log)
			if err != nil {
				w.answer <- err
				continue // the present one serves on
			}
			p.widened(wide, wide.need.beyond(g.need))
			g.supersede()
			p.drain(ctx, patient, g)
			w.answer <- nil
			return wide
		}
	}
}

// drain stops a superseded generation once its last store has left.
func (p *Process) drain(ctx, patient context.Context, g *Generation) {
	p.count(1)
	p.draining.Go(func() {
		defer p.count(-1)
		t := time.NewTimer(drainBound)
		defer t.Stop()
		select {
		case <-g.vacated:
		case <-g.gone:
		case <-t.C:
		case <-ctx.Done():
		}
		g.stop(patient, p.catalog.stop)
		p.tell("stop", g.PID(), g.number, nil)
	})
}
