package plugin

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/sdk"
)

// State is what a supervised plugin is doing.
type State string

// The states. Idle has not been asked for yet; Stopped was stopped for good.
const (
	Idle     State = "idle"
	Starting State = "starting"
	Ready    State = "ready"
	Backoff  State = "backoff" // it failed, and is started again after a pause
	Stopping State = "stopping"
	Stopped  State = "stopped"
)

// Status tells how a supervised plugin is.
type Status struct {
	Provider   string
	Version    string // of the running generation, else as the file's name says
	Path       string
	State      State
	Since      time.Time // when State began
	PID        int       // 0 unless Ready
	Generation int       // of the running or last generation; 0 before the first
	Restarts   int       // starts after the first one
	RetryAt    time.Time // when Backoff ends
	LastError  error     // why the last start failed or the last generation ended; kept after a recovery
	StderrTail []string  // the last lines that the running or last generation printed
}

// Process keeps one generation of a plugin running, from the first call of Current until Stop. It is safe for concurrent
// use.
type Process struct {
	catalog *Catalog
	binary  Binary
	now     atomic.Pointer[Generation] // the ready one: Current's fast path

	mu      sync.Mutex
	status  Status
	tail    *output.Tail  // of the running or last generation
	fails   int           // starts that failed, ever
	changed chan struct{} // closed and replaced when status changes
	cancel  context.CancelFunc
	hurry   context.CancelFunc // makes a stop kill at once
	done    chan struct{}      // closed when nothing runs any more; nil before the first start
}

// Pauses between restarts: after the first failure there is none, so that a single crash costs callers a start and nothing
// more. The second is followed by pauseFirst, each further one by twice as much up to pauseMost. A generation that lasts
// settled resets that. Callers wait for a restart that is due within tolerated, and fail at once otherwise.
const (
	pauseFirst = 10 * time.Millisecond
	pauseMost  = 30 * time.Second
	settled    = time.Minute
	tolerated  = time.Second
)

// Supervise returns a supervised plugin. It is not started before it is needed.
func (c *Catalog) Supervise(b Binary) *Process {
	return &Process{catalog: c, binary: b, changed: make(chan struct{}),
		status: Status{Provider: b.Provider, Version: b.Version, Path: b.Path, State: Idle, Since: time.Now()}}
}

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

// Status tells how the plugin is.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	if p.tail != nil {
		s.StderrTail = p.tail.Lines()
	}
	return s
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
	if s.State != Backoff {
		return nil, nil
	}
	wait := time.Until(s.RetryAt)
	deadline, bounded := ctx.Deadline()
	if p.fails == failed && wait <= tolerated && (!bounded || s.RetryAt.Before(deadline)) {
		return nil, nil
	}
	err := sdk.Errorf(sdk.Unavailable, "plugin %q is not running: %w", s.Provider, s.LastError)
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
	log := p.catalog.opts.Logger.With("plugin", p.binary.Provider)
	var pause pause
	for number := 1; ctx.Err() == nil; number++ {
		p.update(Starting, func(s *Status) { s.Generation, s.Restarts = number, number-1 })
		g, err := p.launch(ctx, log, number)
		if err == nil {
			pause.after(p.live(ctx, patient, g))
			err = g.ended()
		}
		if ctx.Err() != nil {
			break
		}
		wait := pause.next()
		log.Warn("plugin is down", "generation", number, "error", err, "restart_in", wait)
		p.update(Backoff, func(s *Status) { s.LastError, s.RetryAt = err, time.Now().Add(wait) })
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	p.update(Stopped, func(*Status) {})
}

// launch starts a generation.
func (p *Process) launch(ctx context.Context, log *slog.Logger, number int) (*Generation, error) {
	begun, tail := time.Now(), &output.Tail{}
	p.mu.Lock()
	p.tail = tail
	p.mu.Unlock()
	g, err := p.catalog.start(ctx, p.binary, number, tail)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.fails++
		return nil, err
	}
	log.Info("plugin is ready", "generation", number, "version", g.manifest.Version, "pid", g.PID(), "took", time.Since(begun))
	p.now.Store(g)
	p.status.PID, p.status.Version = g.PID(), g.manifest.Version
	p.set(Ready)
	return g, nil
}

// live waits for the end of a generation, or ends it when ctx ends, and tells how long it lived.
func (p *Process) live(ctx, patient context.Context, g *Generation) time.Duration {
	ready := time.Now()
	select {
	case <-g.gone:
		p.now.Store(nil)
		g.release()
	case <-ctx.Done():
		p.now.Store(nil)
		p.update(Stopping, func(*Status) {})
		g.stop(patient, p.catalog.stop)
	}
	return time.Since(ready)
}

// update changes the status and wakes whoever waits for that.
func (p *Process) update(to State, change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
	if to != Ready && to != Stopping {
		p.status.PID = 0
	}
	p.set(to)
}

// set enters a state. p.mu is held.
func (p *Process) set(to State) {
	if p.status.State != to {
		p.status.State, p.status.Since = to, time.Now()
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// pause gives the time until the next restart.
type pause struct {
	failed bool
	last   time.Duration
}

// next gives a pause twice as long as the one before, give or take a fifth, so that many plugins do not restart in step.
func (p *pause) next() time.Duration {
	if !p.failed {
		p.failed = true
		return 0
	}
	p.last = min(max(2*p.last, pauseFirst), pauseMost)
	return time.Duration(float64(p.last) * (0.8 + 0.4*rand.Float64()))
}

// after takes into account how long a generation lived.
func (p *pause) after(life time.Duration) {
	if life >= settled {
		*p = pause{}
	}
}
