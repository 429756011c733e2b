// Package fault makes a fake secret manager do what no server does on request: answer late, throttle, break off, or answer
// what is no answer. A fake puts an [Injector] in front of itself; a test tells the Injector what happens next.
package fault

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// Fault is what happens to one request in place of, or on the way to, the answer. The zero value is none. Latency comes
// first and goes with any other; of the others the first that is set happens: Status or Code, Cut, Malformed, Slow.
type Fault struct {
	Latency    time.Duration // before the answer; it ends early when the caller leaves
	Status     int           // HTTP status in place of the answer
	Code       codes.Code    // gRPC code in place of the answer
	RetryAfter time.Duration // with Status or Code: header Retry-After, in whole seconds rounded up; google.rpc.RetryInfo
	Body       string        // with Status: the body, sent as JSON; empty: none. With Code: the message
	Cut        bool          // the connection ends within the answer. Over gRPC: the status that clients make of that
	Slow       time.Duration // the body comes byte by byte over this time. Over gRPC: the answer comes after it
	Malformed  bool          // the answer's body is neither JSON nor the message that was asked for
	WrongCRC   bool          // gRPC fakes that answer checksums read it with [FromContext] and answer a wrong one
}

// Injector says which request meets which fault. The zero value lets every request pass. Safe for concurrent use.
type Injector struct {
	mu     sync.Mutex
	queue  []queued
	always *Fault
}

type queued struct {
	left  int
	fault Fault
}

// Next lets the next n requests meet f. Further calls queue behind it; requests after the queue meet what [Injector.Always]
// says.
func (i *Injector) Next(n int, f Fault) {
	if n <= 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queue = append(i.queue, queued{n, f})
}

// Always lets every request meet f that no [Injector.Next] has a fault for.
func (i *Injector) Always(f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.always = &f
}

// Clear lets every further request pass.
func (i *Injector) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queue, i.always = nil, nil
}

// Take gives the fault of one request and counts it as used; false: the request passes. A fake that stands behind
// [Injector.Handler] or [Injector.Unary] does not call it.
func (i *Injector) Take() (Fault, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.queue) > 0 {
		q := &i.queue[0]
		f := q.fault
		if q.left--; q.left == 0 {
			i.queue = i.queue[1:]
		}
		return f, true
	}
	if i.always != nil {
		return *i.always, true
	}
	return Fault{}, false
}

type contextKey struct{}

// FromContext gives the fault that the request of ctx met; the zero Fault where it met none.
func FromContext(ctx context.Context) Fault {
	f, _ := ctx.Value(contextKey{}).(Fault)
	return f
}

// wait lets d pass and reports whether the caller is still there.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
