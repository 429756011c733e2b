// Package load makes calls at a steady rate and keeps how long each took.
package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Patience is the deadline of each call: beyond what finding out a stopped process takes on a machine that is busy otherwise,
// for a call that is only late has not failed.
const Patience = 2 * time.Minute

// Class is one kind of call, made at a rate of its own. It is not held up by the others.
type Class struct {
	Name    string
	Rate    int // calls a second
	Workers int // most calls at the same time
	Do      func(ctx context.Context) error
}

// Load runs the calls of some classes. Its methods are safe for concurrent use.
type Load struct {
	stop    context.CancelFunc
	done    sync.WaitGroup
	begun   time.Time
	classes []*class
	phase   atomic.Pointer[string] // a call counts for the one in which it begins
}

type class struct {
	Class
	next    atomic.Int64 // the number of the next call
	calls   atomic.Int64 // that have ended
	failed  atomic.Int64
	workers []*worker

	mu      sync.Mutex
	failure error // the first one
}

// worker makes one call at a time. Only its own goroutine touches took, until that has ended.
type worker struct {
	since atomic.Int64 // when the running call began, in nanoseconds after begun; 0 between calls
	took  map[string][]time.Duration
}

// Start begins the load, in a phase of no name.
func Start(classes ...Class) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{stop: stop, begun: time.Now()}
	l.Phase("")
	for _, of := range classes {
		c := &class{Class: of}
		l.classes = append(l.classes, c)
		for range of.Workers {
			w := &worker{took: map[string][]time.Duration{}}
			c.workers = append(c.workers, w)
			l.done.Go(func() { l.work(ctx, c, w) })
		}
	}
	return l
}

// work makes calls as they become due. One that is late because all workers were busy took from when it was due: a stall is
// not hidden by the calls that it kept from being made.
func (l *Load) work(ctx context.Context, c *class, w *worker) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due := l.begun.Add(time.Duration(c.next.Add(1)) * time.Second / time.Duration(c.Rate))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			due = time.Now()
		}
		if ctx.Err() != nil {
			return
		}
		p := *l.phase.Load()
		w.since.Store(max(1, int64(time.Since(l.begun))))
		c.call(ctx)
		w.since.Store(0)
		w.took[p] = append(w.took[p], time.Since(due))
	}
}

// call makes one call. The end of the load does not end it.
func (c *class) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	err := c.Do(ctx)
	c.calls.Add(1)
	if err == nil {
		return
	}
	if c.failed.Add(1) > 1 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// Phase begins a phase, or goes back to one.
func (l *Load) Phase(name string) { l.phase.Store(&name) }

// Done is how many calls of a class have ended.
func (l *Load) Done(name string) int64 { return l.class(name).calls.Load() }

// Due is how many calls of a class should have begun by now.
func (l *Load) Due(name string) int64 {
	return int64(time.Since(l.begun).Seconds() * float64(l.class(name).Rate))
}

func (l *Load) class(name string) *class {
	return l.classes[slices.IndexFunc(l.classes, func(c *class) bool { return c.Name == name })]
}

// Settled reports whether every call that had begun by a time has ended.
func (l *Load) Settled(by time.Time) bool {
	for _, c := range l.classes {
		for _, w := range c.workers {
			if since := w.since.Load(); since > 0 && since <= int64(by.Sub(l.begun)) {
				return false
			}
		}
	}
	return true
}

// Report is what became of the calls of one class.
type Report struct {
	Class         string
	Calls, Failed int64
	Failure       error // the first failure
	Rate          float64
	ByPhase       map[string]Latency
	Latency       // of all calls
}

// Latency is how long calls took, from when they were due.
type Latency struct {
	Calls         int
	P50, P99, Max time.Duration
}

// Stop ends the load, waits for the calls that run, and reports.
func (l *Load) Stop() []Report {
	l.stop()
	l.done.Wait()
	ran := time.Since(l.begun)
	var out []Report
	for _, c := range l.classes {
		r := Report{Class: c.Name, Calls: c.calls.Load(), Failed: c.failed.Load(), Failure: c.failure, ByPhase: map[string]Latency{}}
		r.Rate = float64(r.Calls) / ran.Seconds()
		all := map[string][]time.Duration{}
		var every []time.Duration
		for _, w := range c.workers {
			for p, took := range w.took {
				all[p] = append(all[p], took...)
				every = append(every, took...)
			}
		}
		for name, took := range all {
			r.ByPhase[name] = latency(took)
		}
		r.Latency = latency(every)
		out = append(out, r)
	}
	return out
}

func latency(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	return Latency{len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1]}
}
