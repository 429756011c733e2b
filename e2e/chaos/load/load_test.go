package load

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallsAreMadeAtTheirRateAndAStallIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := time.Second
		l := Start(Class{Name: "slow", Rate: 10, Workers: 1, Do: func(context.Context) error {
			<-time.After(stall)
			stall = 0
			return nil
		}})
		<-time.After(2*time.Second + time.Millisecond)
		r := l.Stop()[0]
		if r.Calls != 20 || r.Failed != 0 || r.Max != time.Second {
			t.Errorf("%d calls, %d failed, the longest %v; want 20, none and 1s", r.Calls, r.Failed, r.Max)
		}
		// Ten were due while the first ran, and had to wait for it.
		if r.P50 != 100*time.Millisecond {
			t.Errorf("p50 %v, want 100ms, which the call before the last late one took", r.P50)
		}
	})
}

func TestFailuresAreCountedAndPhasesToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		l := Start(Class{Name: "bad", Rate: 10, Workers: 2, Do: func(context.Context) error { return broken }},
			Class{Name: "good", Rate: 10, Workers: 2, Do: func(context.Context) error { return nil }})
		<-time.After(time.Second + time.Millisecond)
		l.Phase("later")
		<-time.After(time.Second)
		bad, good := l.Stop()[0], l.Done("good")
		if bad.Failed != 20 || !errors.Is(bad.Failure, broken) || good != 20 {
			t.Errorf("%d failed with %v, %d good; want 20, broken, 20", bad.Failed, bad.Failure, good)
		}
		if bad.ByPhase[""].Calls != 10 || bad.ByPhase["later"].Calls != 10 {
			t.Errorf("by phase %+v, want 10 each", bad.ByPhase)
		}
	})
}

func TestSettledWaitsForCallsThatHadBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := Start(Class{Name: "held", Rate: 10, Workers: 1, Do: func(context.Context) error { <-release; return nil }})
		<-time.After(150 * time.Millisecond)
		now := time.Now()
		if !l.Settled(now.Add(-100*time.Millisecond)) || l.Settled(now) {
			t.Error("a call that runs since 50 ms: want settled by 100 ms ago, and not by now")
		}
		close(release)
		synctest.Wait()
		if !l.Settled(now) {
			t.Error("no call runs: want settled")
		}
		l.Stop()
	})
}
