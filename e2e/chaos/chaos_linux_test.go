//go:build e2e

package chaos

import (
	"context"
	"flag"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/chaos/load"
	"github.com/keyway-dev/keyway/host"
)

var long = flag.Bool("chaos.long", false, "run the long form: 1,000 kills, 50 stops")

// times is how often something is done: in the form that runs with all tests, and in the long one.
func times(short, thorough int) int {
	if *long {
		return thorough
	}
	return short
}

// TestChaos holds that cached reads never fail, that uncached reads and writes without a precondition are at most delayed,
// and that nothing is left of what went wrong.
func TestChaos(t *testing.T) {
	b := newBank(t)
	b.warm(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *bank) *bankHost
	}{
		{"processes that are killed", kill},
		{"processes that are stopped by a signal", freeze},
		{"a backend that does not answer", hang},
		{"lines of 300 KiB", shout},
		{"a process that wants too much memory", starve},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := b.census(t)
			h := c.run(t, b)
			if err := h.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
			b.nothingLeft(t, before)
		})
	}
}

// warm has the runtime make what it keeps for good: threads, a poller.
func (b *bank) warm(t *testing.T) {
	t.Helper()
	h := b.open(t, good)
	l := h.load(t, 1)
	flows(t, l)
	l.Stop()
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// killEvery is slower than 5/s, past which a plugin that somebody else kills is started again more and more slowly.
const killEvery = 250 * time.Millisecond

func kill(t *testing.T, b *bank) *bankHost {
	h := b.open(t, good)
	l := h.load(t, 1)
	kills := times(40, 1000)
	tick := time.NewTicker(killEvery)
	defer tick.Stop()
	p := h.calm(t, l, 0, 0)
	for range kills {
		<-tick.C
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p = h.calm(t, l, 0, p.Generation)
	}
	failNothing(t, l)
	if p.Restarts < kills {
		t.Errorf("%d restarts after %d kills", p.Restarts, kills)
	}
	return h
}

// calm waits until a later generation than the given one serves store N, and no call runs any more that may have met an
// earlier one: a call survives the end of one process, not of two.
func (h *bankHost) calm(t *testing.T, l *load.Load, n, after int) host.PluginStatus {
	t.Helper()
	p := h.ready(t, n, after)
	now := time.Now()
	eventually(t, "the calls that met the former process have ended", func() bool { return l.Settled(now) })
	return p
}

// flows waits until calls are answered again; in the long form, until all those that an incident held up are.
func flows(t *testing.T, l *load.Load) {
	t.Helper()
	enough := l.Done("uncached Get") + 500
	if *long {
		enough = l.Due("uncached Get")
	}
	eventually(t, "calls are answered", func() bool { return l.Done("uncached Get") >= enough })
}

// freeze stops the processes of several stores at a time, since it takes probes to find out.
func freeze(t *testing.T, b *bank) *bankHost {
	rounds, abreast := times(1, 10), times(2, 5)
	h := b.open(t, slices.Repeat([]string{good}, abreast)...)
	l := h.load(t, abreast)
	for range rounds {
		stopped := make([]int, abreast)
		for n := range abreast {
			p := h.ready(t, n, 0)
			stopped[n] = p.Generation
			if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		for n := range abreast {
			h.calm(t, l, n, stopped[n])
		}
		flows(t, l)
	}
	failNothing(t, l)
	return h
}

func hang(t *testing.T, b *bank) *bankHost {
	h := b.open(t, good)
	l := h.load(t, 1)
	flows(t, l)
	b.backend.Hang()
	cached := l.Done("Live.Load") + int64(times(1000, 7500)) // the calls of 2 s and 15 s
	eventually(t, "cached reads go on", func() bool { return l.Done("Live.Load") > cached })
	b.backend.Recover()
	flows(t, l)
	p := h.calm(t, l, 0, 0)
	failNothing(t, l)
	if p.Restarts != 0 {
		t.Errorf("%d restarts of a plugin whose backend was slow, want none: %v", p.Restarts, p.History)
	}
	return h
}

// tail bounds what the host keeps of a plugin's output, in bytes.
const tail = 256 << 10

func shout(t *testing.T, b *bank) *bankHost {
	h := b.open(t, good, noisy)
	l := h.load(t, 1)
	for range times(20, 1000) {
		v, err := h.stores[1].Get(t.Context(), "asked", "")
		if err := is(v, err, "fresh"); err != nil {
			t.Fatalf("a read through the plugin that prints long lines: %v", err)
		}
	}
	for n := range h.stores {
		p := h.ready(t, n, 0)
		if kept := len(strings.Join(p.Stderr, "")); p.Restarts != 0 || kept > tail {
			t.Errorf("store s%d: %d restarts, %d bytes of output kept; want none, and at most %d", n, p.Restarts, kept, tail)
		}
	}
	failNothing(t, l)
	return h
}

func starve(t *testing.T, b *bank) *bankHost {
	h := b.open(t, good, hungry)
	l := h.load(t, 1)
	deaths := times(3, 6)
	for range deaths*modest + 1 {
		v, err := h.stores[1].Get(t.Context(), "asked", "")
		if err := is(v, err, "fresh"); err != nil {
			t.Fatalf("a read through the plugin that wants too much memory: %v", err)
		}
	}
	p := h.ready(t, 1, deaths)
	t.Logf("ended: %q", p.History)
	if p.Restarts != deaths {
		t.Errorf("%d restarts, want %d: the process ends at its bound, and another one takes its place", p.Restarts, deaths)
	}
	if p := h.plugin(t, 0); p.Restarts != 0 {
		t.Errorf("%d restarts of the other store's plugin, want none: %v", p.Restarts, p.History)
	}
	failNothing(t, l)
	return h
}
