package main

import (
	"maps"
	"strconv"
	"sync"
	"time"
)

// Google finds a version by its number at once, but "latest" may be an older one for some minutes. So a store keeps the
// numbers of the versions that it has written, for as long as that may matter.
// https://cloud.google.com/secret-manager/docs/reference/consistency
const (
	recentFor = 10 * time.Minute
	recentMax = 4096 // secrets; more are not kept, since to forget is never wrong
)

// recent is what a store has written lately. The zero value is nothing. Safe for concurrent use.
type recent struct {
	mu      sync.Mutex
	written map[string]written // by id
}

type written struct {
	number int64
	at     time.Time
}

// add keeps the number of a version that was written now.
func (r *recent) add(id, number string) {
	n, _ := strconv.ParseInt(number, 10, 64)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written == nil {
		r.written = map[string]written{}
	}
	if len(r.written) >= recentMax {
		maps.DeleteFunc(r.written, func(_ string, w written) bool { return now.Sub(w.at) > recentFor })
	}
	if old, known := r.written[id]; (known || len(r.written) < recentMax) && n > old.number {
		r.written[id] = written{n, now}
	}
}

// after gives the version that was written after number, which may be empty; empty: none lately.
func (r *recent) after(id, number string) string {
	n, _ := strconv.ParseInt(number, 10, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.written[id]; w.number > n && time.Since(w.at) <= recentFor {
		return strconv.FormatInt(w.number, 10)
	}
	return ""
}

// forget is for a secret that was deleted: another of its name begins at 1.
func (r *recent) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.written, id)
}
