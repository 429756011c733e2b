//go:build e2e

package swap

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/chaos/load"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
)

func TestSwapsUnderLoad(t *testing.T) {
	b, out := newBank(t), &table{}
	b.swaps(t, out)
	b.starts(t, out)
	b.seven(t, out)
	out.print(os.Stdout)
}

// The run is in blocks, in turn without and with swaps, so that what disturbs the machine disturbs both.
const (
	blocks   = 10
	perBlock = 10
	between  = 500 * time.Millisecond // from the end of a swap to the next, in which the former plugin finishes its calls
	goal     = 1.25                   // of the p99 without swaps
)

// swaps swaps under load.
func (b *bank) swaps(t *testing.T, out *table) {
	h := b.open(t, "best_effort", 1)
	defer shut(t, h)
	l := begin(t, h)
	var took []time.Duration
	before, most := memory{}, memory{}
	processes := 0
	for block := range blocks {
		l.Phase("quiet")
		wait(t, perBlock*between)
		if block == 0 {
			before = memoryOf(t, children(t)[0])
		}
		l.Phase("swaps")
		for range perBlock {
			took = append(took, to(t, h, versions[len(took)%2]))
			wait(t, between)
			l.Phase("looking around")
			pids := drained(t)
			processes = max(processes, len(pids))
			m := memoryOf(t, pids[0])
			most.resident, most.anonymous = max(most.resident, m.resident), max(most.anonymous, m.anonymous)
			l.Phase("swaps")
		}
	}
	reports := l.Stop()
	rate, failed := 0.0, int64(0)
	for _, r := range reports {
		rate, failed = rate+r.Rate, failed+r.Failed
		if r.Failed > 0 || r.Calls == 0 {
			t.Errorf("%s: %d of %d calls failed, want none of some; the first: %v", r.Class, r.Failed, r.Calls, r.Failure)
		}
	}
	out.plain("requests a second", fmt.Sprintf("%.0f", rate))
	out.exactly(fmt.Sprintf("requests that failed in %d swaps", len(took)), failed, 0)
	for _, r := range reports {
		quiet, swaps := r.ByPhase["quiet"], r.ByPhase["swaps"]
		name := fmt.Sprintf("%s, %d calls with swaps / without, ", r.Class, swaps.Calls)
		bound := 0.0
		if r.Class == "Get" || r.Class == "Put" {
			bound = goal
		}
		out.against(name+"p50", swaps.P50, quiet.P50, 0)
		out.against(name+"p99", swaps.P99, quiet.P99, bound)
		out.against(name+"max", swaps.Max, quiet.Max, 0)
	}
	out.plain("one swap: verify, start, open, compare, flip, p50", text(median(took)))
	out.exactly("most plugin processes once drained", int64(processes), 1)
	out.size("their resident memory, most after a swap / before", most.resident, before.resident)
	out.size("their anonymous memory, most after a swap / before", most.anonymous, before.anonymous)
	out.size("resident memory of host, load and backend together", memoryOf(t, os.Getpid()).resident, 0)
}

// begin makes 2,000 calls a second, half of them of a value that is cached.
func begin(t *testing.T, h *host.Host) *load.Load {
	t.Helper()
	s, err := h.Store("s0")
	if err != nil {
		t.Fatal(err)
	}
	live, err := h.Live(t.Context(), "secret://s0/k")
	if err != nil {
		t.Fatal(err)
	}
	l := load.Start(
		load.Class{Name: "Get", Rate: 900, Workers: 64, Do: func(ctx context.Context) error {
			_, err := s.Get(ctx, "k", "")
			return err
		}},
		load.Class{Name: "Put", Rate: 100, Workers: 16, Do: func(ctx context.Context) error {
			_, err := s.Put(ctx, sdk.PutRequest{Name: "written", Value: sdk.SensitiveString("w")})
			return err
		}},
		load.Class{Name: "cached Resolve", Rate: 500, Workers: 4, Do: func(ctx context.Context) error {
			_, err := h.Resolve(ctx, "secret://s0/k")
			return err
		}},
		load.Class{Name: "Live.Load", Rate: 500, Workers: 4, Do: func(context.Context) error {
			_, err := live.Load()
			return err
		}})
	t.Cleanup(func() { l.Stop() })
	return l
}

// to swaps to a version, for good at once.
func to(t *testing.T, h *host.Host, version string) time.Duration {
	t.Helper()
	begun := time.Now()
	if err := h.Swap(t.Context(), host.Swap{Plugin: "bank", Version: version, Watch: -1}, nil); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

// drained waits until the former plugin has ended, and gives what runs.
func drained(t *testing.T) (pids []int) {
	t.Helper()
	eventually(t, "the former plugin has finished its calls and ended", func() bool {
		pids = children(t)
		return len(pids) == 1
	})
	return pids
}

// starts measures the start of a plugin whose bytes are verified already, confined and not, in turn.
func (b *bank) starts(t *testing.T, out *table) {
	modes := []string{"best_effort", "off"}
	hosts, heard, took := map[string]*host.Host{}, map[string]*starts{}, map[string][]time.Duration{}
	for _, mode := range modes {
		heard[mode] = newStarts()
		hosts[mode] = b.open(t, mode, 1, host.WithLogger(slog.New(heard[mode])))
		defer shut(t, hosts[mode])
		<-heard[mode].took // with the verification
	}
	p := hosts["best_effort"].Plugins()[0]
	const kills = 15 // past 20 at once a plugin is started more slowly
	for range kills {
		for _, mode := range modes {
			if err := syscall.Kill(hosts[mode].Plugins()[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			took[mode] = append(took[mode], <-heard[mode].took)
			eventually(t, "the plugin is ready", func() bool { return hosts[mode].Plugins()[0].State == "ready" })
			wait(t, between)
		}
	}
	out.against("from fork to ready, confined / sandbox: off, p50", median(took["best_effort"]), median(took["off"]), 0)
	for _, layer := range p.Sandbox {
		out.plain("  confined by", layer)
	}
	out.plain("  image executed", p.Image)
}

// seven opens a host whose seven stores have a plugin process each.
func (b *bank) seven(t *testing.T, out *table) {
	const stores, runs = 7, 15
	var took []time.Duration
	for range runs {
		begun := time.Now()
		h := b.open(t, "best_effort", stores)
		took = append(took, time.Since(begun))
		if len(took) == runs {
			m := memoryOf(t, h.Plugins()[0].PID)
			out.size("private memory of an idle plugin process", m.private, 0)
			out.size("  of which not its image's pages", m.anonymous, 0)
		}
		shut(t, h)
	}
	out.within("host and 7 plugins verified, confined, ready, open, p50", median(took), 100*time.Millisecond)
}
