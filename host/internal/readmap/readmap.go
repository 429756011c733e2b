// Package readmap is a map by text for keys that are read for ever and added now and then: a read is one atomic load and a
// lookup in a plain map, without an allocation. (sync.Map would box the key of every read.)
package readmap

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Map is safe for concurrent use; the zero Map is empty.
type Map[V any] struct {
	read atomic.Pointer[map[string]V]

	mu     sync.Mutex
	dirty  map[string]V // all of read and what was added since; nil: nothing was
	misses int
}

// Load gives the value of key.
func (m *Map[V]) Load(key string) (V, bool) {
	if p := m.read.Load(); p != nil {
		if v, ok := (*p)[key]; ok {
			return v, true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.dirty[key]
	if m.dirty != nil {
		if m.misses++; m.misses >= len(m.dirty) {
			m.publish()
		}
	}
	return v, ok
}

// Store sets the value of key.
func (m *Map[V]) Store(key string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirty == nil {
		m.dirty = map[string]V{}
		if p := m.read.Load(); p != nil {
			m.dirty = maps.Clone(*p)
		}
	}
	m.dirty[key] = v
	if p := m.read.Load(); p != nil {
		if _, ok := (*p)[key]; ok { // replaced: readers must not go on with the old one
			m.publish()
		}
	}
}

// publish makes what was added readable without the lock. m.mu is held.
func (m *Map[V]) publish() {
	d := m.dirty
	m.read.Store(&d)
	m.dirty, m.misses = nil, 0
}

// Len is the number of keys.
func (m *Map[V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirty != nil {
		return len(m.dirty)
	}
	if p := m.read.Load(); p != nil {
		return len(*p)
	}
	return 0
}

// Clear removes all keys.
func (m *Map[V]) Clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read.Store(nil)
	m.dirty, m.misses = nil, 0
}
