package audit_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
)

func TestAReferenceIsToldOnceAMinuteWithItsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &kept{}
		reads := audit.NewReads(t.Context(), audit.NewLog(sink, audit.LogOptions{}))
		began := time.Now()
		c := reads.Counter("prod", "openai", "3")
		for range 500 {
			c.Read(audit.Cache)
		}
		c.Read(audit.Stale)
		time.Sleep(30 * time.Second) // of the bubble's clock
		synctest.Wait()
		if n := len(sink.all()); n != 0 {
			t.Errorf("%d lines within the minute, want none", n)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		lines := sink.all()
		if len(lines) != 2 {
			t.Fatalf("%d lines, want one for each source: %+v", len(lines), lines)
		}
		for i, want := range []struct {
			source audit.Source
			count  int64
		}{{audit.Cache, 500}, {audit.Stale, 1}} {
			l := lines[i]
			if l.Source != want.source || l.Count != want.count || l.Event != audit.Read || l.Store != "prod" || l.Name != "openai" ||
				l.Version != "3" || l.Actor.Kind != audit.Embedded || !l.Time.Equal(began) {
				t.Errorf("line %d: %+v, want %d reads from %s since %v", i, l, want.count, want.source, began)
			}
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := len(sink.all()); n != 2 {
			t.Errorf("%d lines after minutes without a read, want no more", n)
		}
		reads.Close()
	})
}

func TestReadsSinceTheLastMinuteAreToldAtTheEnd(t *testing.T) {
	sink := &kept{}
	reads := audit.NewReads(t.Context(), audit.NewLog(sink, audit.LogOptions{}))
	reads.Counter("prod", "a", "").Read(audit.Backend)
	reads.Close()
	reads.Close()
	if l := sink.all(); len(l) != 1 || l[0].Count != 1 || l[0].Source != audit.Backend {
		t.Errorf("lines %+v, want the one read", l)
	}
}

func TestNoReadIsLostBetweenMinutes(t *testing.T) {
	const readers, each = 8, 5000
	synctest.Test(t, func(t *testing.T) {
		sink := &kept{}
		reads := audit.NewReads(t.Context(), audit.NewLog(sink, audit.LogOptions{}))
		c := reads.Counter("prod", "a", "")
		var all sync.WaitGroup
		for range readers {
			all.Go(func() {
				for i := range each {
					c.Read(audit.Cache)
					if i%500 == 0 {
						time.Sleep(10 * time.Second) // of the bubble's clock: the ends of minutes fall between reads
					}
				}
			})
		}
		all.Wait()
		reads.Close()
		var sum int64
		for _, l := range sink.all() {
			sum += l.Count
		}
		if sum != readers*each {
			t.Errorf("%d reads are told, want %d", sum, readers*each)
		}
	})
}

func TestReferencesBeyondTheBoundAreToldTogether(t *testing.T) {
	const references = 10_050
	sink := &kept{}
	reads := audit.NewReads(t.Context(), audit.NewLog(sink, audit.LogOptions{}))
	for i := range references {
		c := reads.Counter("prod", fmt.Sprint(i), "")
		c.Read(audit.Cache)
	}
	reads.Close()
	lines := sink.all()
	last := lines[len(lines)-1]
	if len(lines) != 10_001 || last.Count != 50 || last.Name != "" || last.Detail == "" {
		t.Errorf("%d lines, the last %+v; want 10,000 and one for the other 50", len(lines), last)
	}
}

func BenchmarkRead(b *testing.B) {
	reads := audit.NewReads(b.Context(), audit.NewLog(nil, audit.LogOptions{}))
	defer reads.Close()
	c := reads.Counter("prod", "a", "")
	b.ReportAllocs()
	for b.Loop() {
		c.Read(audit.Cache)
	}
}
