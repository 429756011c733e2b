package host

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
)

// What a trial rolls back for: more than one in maxFaults of at least minCalls calls in a minute that end in a fault of
// the plugin.
const (
	minCalls  = 5
	maxFaults = 50
)

// trial is the time after a swap in which the new plugin is watched and the former one kept warm.
type trial struct {
	host    *Host
	swap    Swap
	plugin  string
	from    string // the version that served
	to      string
	members map[*member]*store.Former
	news    []*running // what serves now
	olds    map[*member]*running
	until   time.Time

	suspects chan suspect
	verdict  chan string // why to roll back; the first one counts
	accept   chan struct{}
	done     chan struct{} // closed when the trial is over, either way
	undone   atomic.Bool   // it was rolled back
	reason   string        // why; written before undone

	mu      sync.Mutex
	seconds [60]tally
	calls   int // all of the trial
	faults  int
}

// tally counts the calls of one second.
type tally struct {
	second        int64
	calls, faults int
}

// byOperator is the reason of a rollback that somebody asked for.
const byOperator = "the operator asked for it"

// suspect is a read that failed on the new plugin and may not have on the former one.
type suspect struct {
	m    *member
	name string
	err  error
}

// observe is told of each call on a store of the trial. It does not block.
func (t *trial) observe(m *member, o store.Observation) {
	code := sdk.CodeOf(o.Err)
	fault := false
	switch code {
	case sdk.Internal, sdk.Unknown, sdk.Unimplemented, sdk.DataLoss:
		fault = true
	case sdk.Unavailable, sdk.PermissionDenied, sdk.Unauthenticated, sdk.DeadlineExceeded, sdk.InvalidArgument, sdk.NotFound, sdk.FailedPrecondition:
		if o.Op == "get" && o.Version == "" {
			select {
			case t.suspects <- suspect{m, o.Name, o.Err}:
			default: // enough are waiting
			}
		}
	}
	t.count(fault)
}

// count counts a call, and asks for the rollback when too many were faults.
func (t *trial) count(fault bool) {
	now := time.Now().Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.seconds[now%int64(len(t.seconds))]
	if s.second != now {
		*s = tally{second: now}
	}
	s.calls++
	t.calls++
	if !fault {
		return
	}
	s.faults++
	t.faults++
	calls, faults := 0, 0
	for _, s := range t.seconds {
		if now-s.second < int64(len(t.seconds)) {
			calls, faults = calls+s.calls, faults+s.faults
		}
	}
	if calls >= minCalls && faults*maxFaults > calls {
		t.condemn(fmt.Sprintf("%d of %d calls in the last minute ended in a fault of the plugin", faults, calls))
	}
}

// condemn asks for the rollback.
func (t *trial) condemn(reason string) {
	select {
	case t.verdict <- reason:
	default:
	}
}

// examine asks the former plugin for what failed on the new one. A backend that is down, or a secret that is gone, fails
// on both, and is no fault of the new plugin.
func (t *trial) examine(ctx context.Context, s suspect) {
	former := t.members[s.m]
	if former == nil || !former.Open() {
		return
	}
	r := sdk.GetRequest{Name: s.name}
	if _, _, err := timed(ctx, r, former.Get); err != nil {
		return
	}
	_, _, again := timed(ctx, r, s.m.store.Get)
	if again == nil {
		return
	}
	if _, _, err := timed(ctx, r, former.Get); err == nil && ctx.Err() == nil {
		t.condemn(fmt.Sprintf("store %s: %q reads with the former plugin, twice, and not with the new one: %v", s.m.name, s.name, again))
	}
}

// look is how often a trial looks whether the new processes run.
const look = 250 * time.Millisecond

// run watches until the trial is over.
func (t *trial) run(ctx context.Context) {
	defer close(t.done)
	end := time.NewTimer(time.Until(t.until))
	defer end.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			t.settle()
			return
		case <-t.accept:
			t.settle()
			return
		case why := <-t.verdict:
			t.undo(ctx, why)
			return
		case s := <-t.suspects:
			t.examine(ctx, s)
		case <-tick.C:
			for _, r := range t.news {
				if s := r.process.Status(); s.Restarts > 0 {
					t.condemn(fmt.Sprintf("the new plugin's process ended: %v", s.LastError))
				}
			}
		}
	}
}

// settle ends the trial in favour of the new plugin.
func (t *trial) settle() {
	t.leave()
	var retired []<-chan struct{}
	for _, f := range t.members {
		retired = append(retired, f.Retire())
	}
	t.mu.Lock()
	calls, faults := t.calls, t.faults
	t.mu.Unlock()
	t.host.log.Info("the swap is settled; the former plugin ends", "plugin", t.plugin, "version", t.to, "former", t.from, "calls", calls, "faults", faults)
	t.free()
	t.host.stopIdle(retired)
}

// free lets go of the former plugins.
func (t *trial) free() {
	for _, r := range t.olds {
		r.kept.Add(-1)
	}
}

// undo ends the trial in favour of the former plugin: every store goes back, the lock file is restored, and the version is
// marked there as bad.
func (t *trial) undo(ctx context.Context, why string) {
	t.leave()
	t.reason = why
	t.undone.Store(true)
	var retired []<-chan struct{}
	for m, f := range t.members {
		done, err := f.Restore(ctx)
		m.plugin.Store(t.olds[m])
		if err != nil {
			t.host.log.Warn("the store did not open on the former plugin at once; it is tried again on its next use", "store", m.name, "error", err)
		}
		retired = append(retired, done)
	}
	level := slog.LevelError
	if why == byOperator {
		level = slog.LevelInfo
	}
	t.host.log.Log(ctx, level, "the swap was rolled back", "plugin", t.plugin, "version", t.to, "to", t.from, "reason", why)
	if err := t.host.restoreLock(t, why); err != nil {
		t.host.log.Error("the lock file still names the version that was rolled back", "plugin", t.plugin, "version", t.to, "error", err)
	}
	t.free()
	t.host.stopIdle(retired)
}

// leave ends the observation.
func (t *trial) leave() {
	for m := range t.members {
		m.trial.CompareAndSwap(t, nil)
	}
}

// stopIdle stops, once the openings are closed, every plugin that serves no store any more; the others forget what the stores
// needed that have left them.
func (h *Host) stopIdle(retired []<-chan struct{}) {
	h.spawn(func(ctx context.Context) {
		awaitAll(ctx, retired)
		if ctx.Err() != nil {
			return // the host is closing, and stops them all
		}
		h.fleet.narrow(h.stores())
		for _, r := range h.fleet.idle(h.stores()) {
			if err := r.process.Stop(ctx); err != nil && ctx.Err() == nil {
				h.log.Warn("the former plugin did not stop cleanly", "plugin", r.provider, "error", err)
			}
		}
	})
}
