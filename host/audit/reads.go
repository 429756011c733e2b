package audit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// window is how long reads are summed.
	window = time.Minute
	// maxCounters bounds the references that one window tells one by one. Reads of others are told in one line.
	maxCounters = 10_000
)

// Reads sums the reads of a process that embeds the host: each reference is told once a minute, with how often it was read.
// A read that is counted costs two atomic operations, and nothing is kept for a reference beside its [Counter], which
// belongs to whoever reads it.
type Reads struct {
	log *Log

	mu     sync.Mutex
	due    []*Counter          // those with reads in this window
	others [len(sources)]int64 // reads of references beyond maxCounters
	since  time.Time           // when this window began

	quit chan struct{} // closed by Close
	once sync.Once
	done chan struct{} // closed when run has ended
}

// sources gives counts their place.
var sources = [...]Source{Cache, Stale, Backend, Snapshot}

// Counter counts the reads of one reference. It is safe for concurrent use.
type Counter struct {
	reads       *Reads
	store, name string
	version     string
	due         atomic.Bool // it is in reads.due
	counts      [len(sources)]atomic.Int64
}

// NewReads sums reads for a log until Close. Of ctx only the values count, which the sink gets.
func NewReads(ctx context.Context, l *Log) *Reads {
	r := &Reads{log: l, since: time.Now(), quit: make(chan struct{}), done: make(chan struct{})}
	go r.run(context.WithoutCancel(ctx))
	return r
}

func (r *Reads) run(ctx context.Context) {
	defer close(r.done)
	t := time.NewTicker(window)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.flush(ctx)
		case <-r.quit:
			r.flush(ctx)
			return
		}
	}
}

// Close records what was counted since the last minute. Later reads are not told. It may be called again.
func (r *Reads) Close() {
	r.once.Do(func() { close(r.quit) })
	<-r.done
}

// Counter returns a counter for one reference. Two counters of one reference are told in two lines.
func (r *Reads) Counter(store, name, version string) *Counter {
	return &Counter{reads: r, store: store, name: name, version: version}
}

// Read counts one read.
func (c *Counter) Read(from Source) {
	c.counts[place(from)].Add(1)
	if !c.due.Load() && c.due.CompareAndSwap(false, true) {
		c.reads.enlist(c)
	}
}

func place(s Source) int {
	for i, x := range sources {
		if x == s {
			return i
		}
	}
	return 0
}

func (r *Reads) enlist(c *Counter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) < maxCounters {
		r.due = append(r.due, c)
		return
	}
	for i, n := range c.take() {
		r.others[i] += n
	}
}

// take gives what was counted and begins anew. It is ready to be enlisted again before it is emptied: a read in between is
// either taken now or enlists it.
func (c *Counter) take() (n [len(sources)]int64) {
	c.due.Store(false)
	for i := range n {
		n[i] = c.counts[i].Swap(0)
	}
	return n
}

// flush records a window and begins the next.
func (r *Reads) flush(ctx context.Context) {
	r.mu.Lock()
	due, others, since := r.due, r.others, r.since
	r.due, r.others, r.since = nil, [len(sources)]int64{}, time.Now()
	r.mu.Unlock()
	for _, c := range due {
		r.record(ctx, Line{Time: since, Store: c.store, Name: c.name, Version: c.version}, c.take())
	}
	r.record(ctx, Line{Time: since, Detail: "references beyond those that are told one by one"}, others)
}

func (r *Reads) record(ctx context.Context, line Line, counts [len(sources)]int64) {
	line.Event, line.Op, line.Actor.Kind, line.Code = Read, "get", Embedded, "ok"
	for i, n := range counts {
		if n == 0 {
			continue
		}
		line.Source, line.Count = sources[i], n
		r.log.Record(ctx, line)
	}
}
