package slot

import "testing"

// One use of a value costs the call that needs it an acquire and a release: 15 ns at most is the goal.
func BenchmarkAcquireAndRelease(b *testing.B) {
	var s Slot[int]
	s.Swap(1)
	b.ReportAllocs()
	for b.Loop() {
		h, ok := s.Acquire()
		if !ok {
			b.Fatal("the slot is empty")
		}
		h.Release()
	}
}

func BenchmarkAcquireAndReleaseOnAllCores(b *testing.B) {
	var s Slot[int]
	s.Swap(1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, ok := s.Acquire()
			if !ok {
				b.Error("the slot is empty")
				return
			}
			h.Release()
		}
	})
}
