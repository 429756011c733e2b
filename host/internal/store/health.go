package store

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// While a backend is unreachable one refresh asks for all; the others get its answer.
const (
	probeMin = 250 * time.Millisecond
	probeMax = 5 * time.Second
)

// health is what the last calls told about a backend. The zero value is healthy.
type health struct {
	mu      sync.Mutex
	err     error
	backoff time.Duration
	probe   time.Time // when the next refresh may ask
	until   time.Time // throttled until then
}

func (h *health) up() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.backoff = nil, 0
}

func (h *health) down(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	h.backoff = min(max(2*h.backoff, probeMin), probeMax)
	h.probe = time.Now().Add(time.Duration(float64(h.backoff) * (0.8 + 0.4*rand.Float64()))) //nolint:gosec // jitter
}

func (h *health) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// refuse answers for an unreachable backend, except for the one probe of each interval. Its error holds the failure of
// another call, and says so.
func (h *health) refuse() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		return nil
	}
	if now := time.Now(); now.After(h.probe) {
		h.probe = now.Add(h.backoff)
		return nil
	}
	return sdk.Errorf(sdk.CodeOf(h.err), "not asked, since the backend cannot be reached: %w", h.err)
}

func (h *health) throttle(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Now().Add(d)
}

func (h *health) throttled() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := time.Until(h.until)
	if left <= 0 {
		return nil
	}
	err := sdk.Errorf(sdk.ResourceExhausted, "the backend asked to wait; %v are left", left.Round(time.Second))
	err.RetryAfter = left
	return err
}
