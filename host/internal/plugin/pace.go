package plugin

import (
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// How soon an ended plugin is started again.
//
// What fails by itself is given time: a start that fails, and a generation that ends within brief without having been
// killed. The first such failure is followed by no pause, so that a single crash costs callers a start and nothing more;
// the second by pauseFirst, each further one by twice as much. After the tripAt-th in a row the plugin has failed: callers
// get the reason at once, and a start every retryFailed shows whether it recovered. A generation that lasts settled ends
// the row.
//
// What others killed or stopped, and what had worked for longer than brief, is started at once: that is no sign of a bad
// plugin. Whoever kills may be the kernel, because memory is short, so restartBurst of these are at once and restartRate a
// second in the long run: a pause of 0.2 s at most, which callers wait for.
const (
	pauseFirst   = 10 * time.Millisecond
	tripAt       = 10
	retryFailed  = 30 * time.Second
	brief        = 10 * time.Second
	settled      = time.Minute
	restartRate  = 5
	restartBurst = 50
)

// pace decides when a plugin that has ended is started again.
type pace struct {
	failures int // in a row
	last     time.Duration
	restarts *rate.Limiter
}

func newPace() *pace { return &pace{restarts: rate.NewLimiter(restartRate, restartBurst)} }

// end is how a start or a generation ended.
type end struct {
	ready   bool          // it got so far
	lived   time.Duration // since then
	outside bool          // killed or stopped by others
}

// next gives the time until the next start; failed says that it is only a trial.
func (p *pace) next(e end) (wait time.Duration, failed bool) {
	if e.ready && e.lived >= settled {
		p.failures, p.last = 0, 0
	}
	if e.ready && (e.outside || e.lived >= brief) {
		return p.restarts.Reserve().Delay(), false
	}
	p.failures++
	switch {
	case p.failures >= tripAt:
		return about(retryFailed), true
	case p.failures == 1:
		return 0, false
	}
	p.last = max(2*p.last, pauseFirst)
	return about(p.last), false
}

// about is d give or take a fifth, so that many plugins do not restart in step.
func about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
