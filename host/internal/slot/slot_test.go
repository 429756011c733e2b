package slot

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

type thing struct{ closed atomic.Bool }

func TestNothingIsUsedAfterItHasDrained(t *testing.T) {
	var s Slot[*thing]
	s.Swap(&thing{})
	var wg sync.WaitGroup
	var after atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				h, ok := s.acquire(runtime.Gosched)
				if !ok {
					continue
				}
				if h.Value().closed.Load() {
					after.Add(1)
				}
				h.Release()
			}
		})
	}
	for range 5000 {
		old, ok := s.Swap(&thing{})
		if !ok {
			t.Fatal("the slot was empty")
		}
		<-old.Drained
		old.Value.closed.Store(true)
	}
	close(stop)
	wg.Wait()
	if n := after.Load(); n != 0 {
		t.Errorf("%d uses after the value was closed, want 0", n)
	}
}

func TestARetiredValueStaysWhileItIsHeld(t *testing.T) {
	var s Slot[int]
	s.Swap(1)
	h, _ := s.Acquire()
	old, _ := s.Swap(2)
	select {
	case <-old.Drained:
		t.Fatal("drained while somebody held it")
	default:
	}
	if h.Value() != 1 {
		t.Errorf("held %d, want 1", h.Value())
	}
	h.Release()
	<-old.Drained
}

func TestRemoveTakesOnlyWhatWasHeld(t *testing.T) {
	var s Slot[int]
	s.Swap(1)
	h, _ := s.Acquire()
	s.Swap(2)
	if _, ok := s.Remove(h); ok {
		t.Error("Remove took a value that another user had put in place")
	}
	h.Release()
	h, _ = s.Acquire()
	if _, ok := s.Remove(h); !ok || s.Filled() {
		t.Error("Remove left the current value in place")
	}
	h.Release()
}
