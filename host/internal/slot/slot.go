// Package slot holds the current one of something that is replaced while it is in use.
package slot

import "sync/atomic"

// Slot points at the current value of T, or at none. The zero Slot is empty. All methods are safe for concurrent use.
//
// Loading a pointer and counting its user are two steps. A reader that is preempted in between must not use a value
// that has drained meanwhile, so the owner counts as one user, and a count that has reached zero never comes back.
type Slot[T any] struct{ p atomic.Pointer[entry[T]] }

type entry[T any] struct {
	value   T
	users   atomic.Int64 // the owner is one
	drained chan struct{}
}

// Held is one use of a value. Release it exactly once.
type Held[T any] struct{ e *entry[T] }

// Value is what is held.
func (h Held[T]) Value() T { return h.e.value }

// Release ends the use.
func (h Held[T]) Release() { h.e.release() }

func (e *entry[T]) release() {
	if e.users.Add(-1) == 0 {
		close(e.drained)
	}
}

func (e *entry[T]) tryAcquire() bool {
	for {
		n := e.users.Load()
		if n == 0 {
			return false
		}
		if e.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Acquire holds the current value; ok is false when there is none.
func (s *Slot[T]) Acquire() (h Held[T], ok bool) { return s.acquire(nil) }

// acquire calls between, when it is given, in the window between load and count; a test widens it so.
func (s *Slot[T]) acquire(between func()) (h Held[T], ok bool) {
	for {
		e := s.p.Load()
		if e == nil {
			return h, false
		}
		if between != nil {
			between()
		}
		if e.tryAcquire() {
			return Held[T]{e}, true
		}
	}
}

// Filled reports whether there is a current value.
func (s *Slot[T]) Filled() bool { return s.p.Load() != nil }

// Retired is a value that is current no more. Drained closes when its last user is gone.
type Retired[T any] struct {
	Value   T
	Drained <-chan struct{}
}

// Swap makes v current and gives the one before, if there was one.
func (s *Slot[T]) Swap(v T) (Retired[T], bool) {
	e := &entry[T]{value: v, drained: make(chan struct{})}
	e.users.Store(1)
	return retire(s.p.Swap(e))
}

// Clear leaves the slot empty and gives what was current.
func (s *Slot[T]) Clear() (Retired[T], bool) { return retire(s.p.Swap(nil)) }

// Remove empties the slot if h is still its current value.
func (s *Slot[T]) Remove(h Held[T]) (Retired[T], bool) {
	if !s.p.CompareAndSwap(h.e, nil) {
		return Retired[T]{}, false
	}
	return retire(h.e)
}

func retire[T any](e *entry[T]) (Retired[T], bool) {
	if e == nil {
		return Retired[T]{}, false
	}
	e.release() // the owner's
	return Retired[T]{e.value, e.drained}, true
}
