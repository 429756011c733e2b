package plugin

import (
	"testing"
	"testing/synctest"
	"time"
)

// around reports whether d is base give or take a fifth.
func around(d, base time.Duration) bool { return d >= base*8/10 && d <= base*12/10 }

func TestPausesBetweenFailuresGrowUntilThePluginHasFailed(t *testing.T) {
	p := newPace()
	if wait, failed := p.next(end{}); wait != 0 || failed {
		t.Errorf("after the first failure: %v, failed %v, want a start at once", wait, failed)
	}
	for i, base := 2, pauseFirst; i < tripAt; i, base = i+1, 2*base {
		if wait, failed := p.next(end{ready: i%2 == 0, lived: brief - 1}); !around(wait, base) || failed {
			t.Errorf("after failure %d: %v, failed %v, want about %v", i, wait, failed, base)
		}
	}
	for range 3 {
		if wait, failed := p.next(end{}); !around(wait, retryFailed) || !failed {
			t.Errorf("after %d failures and more: %v, failed %v, want only a trial in about %v", tripAt, wait, failed, retryFailed)
		}
	}
}

func TestOnlyALongLifeEndsARowOfFailures(t *testing.T) {
	p := newPace()
	for range tripAt {
		p.next(end{})
	}
	if wait, failed := p.next(end{ready: true, lived: settled - 1}); wait != 0 || failed {
		t.Errorf("after a life of nearly a minute: %v, failed %v, want a start at once", wait, failed)
	}
	if _, failed := p.next(end{ready: true, lived: 1}); !failed {
		t.Error("the next short life is forgiven, want the plugin still failed")
	}
	if wait, failed := p.next(end{ready: true, lived: settled}); wait != 0 || failed {
		t.Errorf("after a long life: %v, failed %v, want a start at once", wait, failed)
	}
	if _, failed := p.next(end{}); failed {
		t.Error("one failure after a long life has tripped the breaker")
	}
}

// What others kill is started anew as often as they like; the long run is bounded by pauses that callers wait for.
func TestAThousandKillsAreNotTheFaultOfThePlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := newPace(), time.Now()
		for i := range 1000 {
			wait, failed := p.next(end{ready: true, lived: time.Millisecond, outside: true})
			if failed || wait > tolerated/2 {
				t.Fatalf("after kill %d: %v, failed %v, want a pause that callers wait for", i+1, wait, failed)
			}
			if i < restartBurst && wait != 0 {
				t.Fatalf("after kill %d: %v, want none", i+1, wait)
			}
			<-time.After(wait) // of the bubble's clock
		}
		if took := time.Since(begun); took < (1000-restartBurst)*time.Second/restartRate-time.Second {
			t.Errorf("a thousand restarts within %v: one that ends at once would take the machine's time", took)
		}
		if _, failed := p.next(end{}); failed {
			t.Error("the kills counted as failures")
		}
	})
}
