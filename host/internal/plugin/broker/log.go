package broker

import (
	"sync"
	"time"
)

const (
	quiet      = time.Minute // between two records of the same endpoint
	maxRefused = 256         // endpoints remembered; a plugin that makes up more is logged no more
)

// refusalLog decides which refusals are worth a record: the first of an endpoint within a minute.
type refusalLog struct {
	now  func() time.Time
	mu   sync.Mutex
	last map[string]time.Time
}

func (l *refusalLog) due(endpoint string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if at, ok := l.last[endpoint]; ok && now.Sub(at) < quiet {
		return false
	}
	if len(l.last) >= maxRefused {
		for e, at := range l.last {
			if now.Sub(at) >= quiet {
				delete(l.last, e)
			}
		}
		if len(l.last) >= maxRefused {
			return false
		}
	}
	if l.last == nil {
		l.last = map[string]time.Time{}
	}
	l.last[endpoint] = now
	return true
}
