package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// origin is what entries load from.
type origin struct {
	mu    sync.Mutex
	value string
	err   error
	hang  bool
	calls atomic.Int64
}

func (o *origin) set(v string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.value, o.err = v, err
}

func (o *origin) load(ctx context.Context) (Loaded[string], error) {
	o.calls.Add(1)
	o.mu.Lock()
	v, err, hang := o.value, o.err, o.hang
	o.mu.Unlock()
	if hang {
		<-ctx.Done()
		return Loaded[string]{}, ctx.Err()
	}
	return Loaded[string]{Value: v, Size: len(v)}, err
}

var policy = Policy{TTL: 100 * time.Second, NegativeTTL: 10 * time.Second, SoftTimeout: 500 * time.Millisecond,
	LoadTimeout: 30 * time.Second, MaxStaleUnreachable: time.Hour}

func open(t *testing.T, max int) *Cache[string] {
	c := New(Options[string]{MaxEntries: max, MarkStale: func(s string) string { return "stale " + s }})
	t.Cleanup(c.Close)
	return c
}

func expect(t *testing.T, e *Entry[string], want string) {
	t.Helper()
	got, err := e.Get(t.Context())
	if err != nil || got != want {
		t.Errorf("Get: %q, %v; want %q", got, err, want)
	}
}

func expectCode(t *testing.T, e *Entry[string], want sdk.Code) {
	t.Helper()
	if v, err := e.Get(t.Context()); !errors.Is(err, want) {
		t.Errorf("Get: %q, %v; want the code %v", v, err, want)
	}
}

func TestAThousandCallersMakeOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "v"}
		e := open(t, 0).Entry("k", &policy, o.load)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { expect(t, e, "v") })
		}
		wg.Wait()
		if n := o.calls.Load(); n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
	})
}

func TestWhatIsReadIsRefreshedAheadAndWhatIsNotCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 0)
		read, idle := &origin{value: "1"}, &origin{value: "1"}
		e := c.Entry("read", &policy, read.load)
		i := c.Entry("idle", &policy, idle.load)
		expect(t, e, "1")
		expect(t, i, "1")
		read.set("2", nil)
		for range 100 {
			time.Sleep(time.Second) // the bubble's time
			if _, _, ok := e.Fresh(); !ok {
				t.Fatal("a value that is read all the time was not fresh")
			}
		}
		expect(t, e, "2")
		time.Sleep(10 * policy.TTL)
		if n := idle.calls.Load(); n != 1 {
			t.Errorf("an entry nobody read was loaded %d times, want 1", n)
		}
	})
}

func TestAnUnreachableOriginIsHiddenForItsBoundAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "v"}
		e := open(t, 0).Entry("k", &policy, o.load)
		expect(t, e, "v")
		o.set("", sdk.Errorf(sdk.Unavailable, "down"))
		time.Sleep(200 * time.Second)
		expect(t, e, "stale v")
		before := o.calls.Load()
		for range 10 {
			time.Sleep(time.Second)
			expect(t, e, "stale v")
		}
		if n := o.calls.Load() - before; n > 1 {
			t.Errorf("%d loads in 10 s of an outage, want at most 1", n)
		}
		time.Sleep(time.Hour)
		expectCode(t, e, sdk.Unavailable)
		o.set("w", nil)
		expect(t, e, "w")
	})
}

func TestADeletedSecretIsNotServedFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "v"}
		e := open(t, 0).Entry("k", &policy, o.load)
		expect(t, e, "v")
		o.set("", sdk.Errorf(sdk.NotFound, "gone"))
		time.Sleep(policy.TTL * 2)
		expectCode(t, e, sdk.NotFound)
		before := o.calls.Load()
		time.Sleep(time.Second)
		expectCode(t, e, sdk.NotFound)
		if n := o.calls.Load() - before; n != 0 {
			t.Errorf("an absent name was asked for again within its negative ttl, %d times", n)
		}
		o.set("back", nil)
		time.Sleep(policy.NegativeTTL)
		expect(t, e, "back")
	})
}

func TestARefusalIsServedStaleOnlyWhereTheOperatorSaidSo(t *testing.T) {
	for _, bound := range []time.Duration{0, 20 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			p := policy
			p.MaxStaleDenied = bound
			o := &origin{value: "v"}
			e := open(t, 0).Entry("k", &p, o.load)
			expect(t, e, "v")
			o.set("", sdk.Errorf(sdk.PermissionDenied, "no"))
			time.Sleep(10 * time.Minute)
			if bound > 0 {
				expect(t, e, "stale v")
				time.Sleep(bound)
			}
			expectCode(t, e, sdk.PermissionDenied)
		})
	}
}

func TestASlowOriginDelaysByTheSoftTimeoutOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "v"}
		e := open(t, 0).Entry("k", &policy, o.load)
		expect(t, e, "v")
		o.mu.Lock()
		o.hang = true
		o.mu.Unlock()
		time.Sleep(2 * policy.TTL)
		began := time.Now()
		expect(t, e, "stale v")
		if d := time.Since(began); d != policy.SoftTimeout {
			t.Errorf("waited %v, want the soft timeout of %v", d, policy.SoftTimeout)
		}
		cold := e.c.Entry("cold", &policy, o.load)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := cold.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a cold read of a hanging origin: %v, want the caller's deadline", err)
		}
	})
}

func TestThrottlingIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := sdk.Errorf(sdk.ResourceExhausted, "slow down")
		err.RetryAfter = time.Minute
		o := &origin{err: err}
		e := open(t, 0).Entry("k", &policy, o.load)
		expectCode(t, e, sdk.ResourceExhausted)
		time.Sleep(59 * time.Second)
		expectCode(t, e, sdk.ResourceExhausted)
		if n := o.calls.Load(); n != 1 {
			t.Errorf("%d loads before the time that the origin named, want 1", n)
		}
	})
}

func TestASubscriberSeesEveryChangeAndTheEndOfTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "1"}
		e := open(t, 1).Entry("k", &policy, o.load)
		var got []string
		var mu sync.Mutex
		cancel := e.Subscribe(func(v string, err error) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(v, "|", sdk.CodeOf(err)))
		})
		expect(t, e, "1")
		o.set("2", nil)
		time.Sleep(policy.TTL)
		o.set("", sdk.Errorf(sdk.Unavailable, "down"))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		last := got[len(got)-1]
		if got[0] != "1|ok" || got[1] != "2|ok" || last != "|unavailable" {
			t.Errorf("a subscriber saw %q; want 1, then 2, and in the end unavailable", got)
		}
		cancel()
	})
}

func TestEvictionSparesWhatIsReadAndWhatIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, 10)
		o := &origin{value: "v"}
		live := c.Entry("live", &policy, o.load)
		defer live.Subscribe(func(string, error) {})()
		hot := c.Entry("hot", &policy, o.load)
		for i := range 1000 {
			expect(t, hot, "v")
			expect(t, c.Entry(fmt.Sprint(i), &policy, o.load), "v")
		}
		if hot.Dead() || live.Dead() {
			t.Errorf("evicted: hot %v, live %v; want neither", hot.Dead(), live.Dead())
		}
		if n, b := c.Len(); n > 10 || b > 100 {
			t.Errorf("%d entries of %d bytes, want at most 10 of 100", n, b)
		}
	})
}

func TestAChangeDuringALoadIsNotOverwrittenByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := open(t, 0).Entry("k", &policy, (&origin{value: "new"}).load)
		old, mine := e.Begin()
		if !mine {
			t.Fatal("another load was under way")
		}
		e.Invalidate()
		old.Finish(Loaded[string]{Value: "old"}, nil)
		expect(t, e, "new")
	})
}

func TestRevalidateAsksAtMostOnceInItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "v"}
		e := open(t, 0).Entry("k", &policy, o.load)
		expect(t, e, "v")
		time.Sleep(time.Minute)
		for range 100 {
			if _, err := e.Revalidate(t.Context(), 10*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if n := o.calls.Load(); n != 2 {
			t.Errorf("%d loads, want 2: the first and one for a hundred rejections", n)
		}
	})
}

func TestAnExpiringValueIsNeverServedBeyond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		e := open(t, 0).Entry("k", &policy, func(context.Context) (Loaded[string], error) {
			if fail.Load() {
				return Loaded[string]{}, sdk.Errorf(sdk.Unavailable, "down")
			}
			return Loaded[string]{Value: "v", Expires: time.Now().Add(30 * time.Second)}, nil
		})
		expect(t, e, "v")
		fail.Store(true)
		time.Sleep(31 * time.Second)
		expectCode(t, e, sdk.Unavailable)
	})
}

func BenchmarkFresh(b *testing.B) {
	c := New(Options[string]{MarkStale: func(s string) string { return s }})
	defer c.Close()
	e := c.Entry("k", &policy, (&origin{value: "v"}).load)
	if _, err := e.Get(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = e.Fresh()
	}
}

func TestALiveValueWithoutAnAnswerTakesAnObsoleteOneMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{err: sdk.Errorf(sdk.NotFound, "absent"), hang: true}
		e := open(t, 0).Entry("k", &policy, o.load)
		var got error
		defer e.Subscribe(func(_ string, err error) { got = err })()
		f, _ := e.Begin()
		e.Invalidate() // another load begins, and hangs
		f.Finish(Loaded[string]{}, sdk.Errorf(sdk.NotFound, "absent"))
		if !errors.Is(got, sdk.NotFound) {
			t.Errorf("the live value heard %v, want not found", got)
		}
	})
}

func TestAValueThatMayHaveChangedIsReadAnewAndServedInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{value: "old"}
		c := open(t, 0)
		e := c.Entry("k", &policy, o.load)
		expect(t, e, "old")
		o.set("", sdk.Errorf(sdk.Unavailable, "down"))
		c.ExpireAll("k")
		expect(t, e, "stale old")
		o.set("new", nil)
		time.Sleep(time.Minute)
		expect(t, e, "new")
		o.set("newer", nil)
		c.Expire("k")
		expect(t, e, "newer")
		o.set("", sdk.Errorf(sdk.NotFound, "deleted"))
		c.Expire("k")
		expectCode(t, e, sdk.NotFound)
		c.Expire("k")
		o.set("again", nil)
		expect(t, e, "again")
	})
}
