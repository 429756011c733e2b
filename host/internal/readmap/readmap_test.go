package readmap

import (
	"fmt"
	"sync"
	"testing"
)

func TestWhatWasStoredIsFoundByEveryReader(t *testing.T) {
	var m Map[int]
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				k := fmt.Sprint(g, "/", i)
				m.Store(k, i)
				if v, ok := m.Load(k); !ok || v != i {
					t.Errorf("Load(%q): %d, %v; want %d", k, v, ok, i)
				}
			}
		})
	}
	wg.Wait()
	if n := m.Len(); n != 2000 {
		t.Errorf("%d keys, want 2000", n)
	}
}

func TestAReplacedValueIsNotSeenAgain(t *testing.T) {
	var m Map[int]
	m.Store("k", 1)
	for range 10 {
		m.Load("k")
	}
	m.Store("k", 2)
	if v, _ := m.Load("k"); v != 2 {
		t.Errorf("Load after the second Store: %d, want 2", v)
	}
	m.Clear()
	if _, ok := m.Load("k"); ok || m.Len() != 0 {
		t.Error("Clear left a key")
	}
}

func TestAReadAllocatesNothing(t *testing.T) {
	var m Map[int]
	m.Store("k", 1)
	m.Load("k")
	if n := testing.AllocsPerRun(100, func() { m.Load("k") }); n != 0 {
		t.Errorf("%v allocations a read, want 0", n)
	}
}
