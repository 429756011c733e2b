// Package cache keeps secret values: bounded, with one load at a time per key, refreshed ahead for what is read, and
// served stale by the cause of a failure. It knows nothing of stores: an entry carries its own policy and its own load.
//
// Reading a fresh value is one atomic load and a comparison with a coarse clock, which a goroutine of the cache moves; the
// same goroutine starts the refreshes that are due.
package cache

import (
	"container/heap"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tick is the grain of the coarse clock. Freshness is a matter of seconds, and reading the real clock costs more than
// the whole lookup.
const tick = 20 * time.Millisecond

// Policy says how long an entry of one store is served, and after which failures it is served stale. Zero bounds mean
// never stale.
type Policy struct {
	TTL                 time.Duration
	NegativeTTL         time.Duration // of NotFound and FailedPrecondition
	SoftTimeout         time.Duration // how long a caller waits for a refresh before it gets a stale value
	LoadTimeout         time.Duration // bounds one load
	MaxStaleUnreachable time.Duration // these three count from the last healthy read
	MaxStaleDeleted     time.Duration
	MaxStaleDenied      time.Duration
}

// Loaded is the outcome of a load.
type Loaded[V any] struct {
	Value   V
	Expires time.Time // the value is not served beyond; zero: no such end
	Size    int       // bytes, for the bound
}

// Load reads a value from its origin. It runs on a goroutine of its own, with a context that no caller's departure ends.
type Load[V any] func(ctx context.Context) (Loaded[V], error)

// Options bound a cache.
type Options[V any] struct {
	MaxEntries int
	MaxBytes   int64
	// MarkStale gives the value as it is served past its freshness.
	MarkStale func(V) V
}

// Cache is a bounded set of entries. All methods are safe for concurrent use.
type Cache[V any] struct {
	opts  Options[V]
	epoch time.Time
	now   atomic.Int64 // coarse, nanoseconds since epoch
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	entries map[string]*Entry[V]
	ring    []*Entry[V] // for eviction: the clock algorithm, whose reference bit the fast path sets
	hand    int
	bytes   int64
	due     dueHeap[V]
}

// New starts a cache; Close ends its goroutine and its loads.
func New[V any](opts Options[V]) *Cache[V] {
	c := &Cache[V]{opts: opts, epoch: time.Now(), entries: map[string]*Entry[V]{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.wg.Go(c.run)
	return c
}

// Close ends refreshes and waits for running loads, which it cancels. Entries keep their last state; a read that would
// need a load gets the error of a cancelled one.
func (c *Cache[V]) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.wg.Wait()
}

// Len is the number of entries, Bytes the sum of their sizes.
func (c *Cache[V]) Len() (entries int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries), c.bytes
}

// Entry gives the entry of key, making it when it is new. policy and load are kept by a new entry only.
func (c *Cache[V]) Entry(key string, policy *Policy, load Load[V]) *Entry[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		return e
	}
	e := &Entry[V]{c: c, key: key, policy: policy, load: load, slot: len(c.ring)}
	c.entries[key] = e
	c.ring = append(c.ring, e)
	c.shrink(e)
	return e
}

// Invalidate forgets the answer of key, if there is one.
func (c *Cache[V]) Invalidate(key string) {
	if e := c.find(key); e != nil {
		e.Invalidate()
	}
}

// Expire has the answer of key, if there is one, asked for anew.
func (c *Cache[V]) Expire(key string) {
	if e := c.find(key); e != nil {
		e.Expire()
	}
}

func (c *Cache[V]) find(key string) *Entry[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[key]
}

// ExpireAll is Expire for every key that begins with prefix.
func (c *Cache[V]) ExpireAll(prefix string) {
	var found []*Entry[V]
	c.mu.Lock()
	for k, e := range c.entries {
		if strings.HasPrefix(k, prefix) {
			found = append(found, e)
		}
	}
	c.mu.Unlock()
	for _, e := range found {
		e.Expire()
	}
}

// shrink evicts until the bounds hold, sparing keep, live entries and those read since the hand last passed. c.mu is held.
func (c *Cache[V]) shrink(keep *Entry[V]) {
	for spared := 0; c.over() && spared < 2*len(c.ring); spared++ {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e == keep || e.pins.Load() > 0 || e.flags.And(^flagUsed)&flagUsed != 0 {
			c.hand++
			continue
		}
		c.drop(e)
		spared = 0
	}
}

func (c *Cache[V]) over() bool {
	return c.opts.MaxEntries > 0 && len(c.ring) > c.opts.MaxEntries || c.opts.MaxBytes > 0 && c.bytes > c.opts.MaxBytes
}

// drop removes an entry. c.mu is held.
func (c *Cache[V]) drop(e *Entry[V]) {
	last := c.ring[len(c.ring)-1]
	c.ring[e.slot], last.slot = last, e.slot
	c.ring[len(c.ring)-1] = nil
	c.ring = c.ring[:len(c.ring)-1]
	delete(c.entries, e.key)
	c.bytes -= int64(e.size)
	e.size = 0
	e.dead.Store(true)
	e.state.Store(nil)
	for _, f := range e.onDrop {
		f()
	}
	e.onDrop = nil
}

// resize records an entry's size and makes room. It reports false for an entry that has been dropped.
func (c *Cache[V]) resize(e *Entry[V], size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.dead.Load() {
		return false
	}
	c.bytes += int64(size - e.size)
	e.size = size
	c.shrink(e)
	return true
}

func (c *Cache[V]) elapsed() int64 { return int64(time.Since(c.epoch)) }

// run moves the clock and starts what is due.
func (c *Cache[V]) run() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		now := c.elapsed()
		c.now.Store(now)
		for _, e := range c.takeDue(now) {
			e.visit(now)
		}
	}
}

func (c *Cache[V]) takeDue(now int64) []*Entry[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*Entry[V]
	for len(c.due) > 0 && c.due[0].at <= now {
		it := heap.Pop(&c.due).(dueItem[V]) //nolint:forcetypeassert // the heap holds nothing else
		if it.at == it.e.dueAt && !it.e.dead.Load() {
			it.e.dueAt = 0
			out = append(out, it.e)
		}
	}
	return out
}

// schedule has the entry visited at that time, instead of at the one asked for before.
func (c *Cache[V]) schedule(e *Entry[V], at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.dead.Load() || e.dueAt == at {
		return
	}
	e.dueAt = at
	heap.Push(&c.due, dueItem[V]{at, e})
}

type dueItem[V any] struct {
	at int64
	e  *Entry[V]
}

type dueHeap[V any] []dueItem[V]

func (h dueHeap[V]) Len() int           { return len(h) }
func (h dueHeap[V]) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap[V]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap[V]) Push(x any)        { *h = append(*h, x.(dueItem[V])) } //nolint:forcetypeassert // only schedule pushes
func (h *dueHeap[V]) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
