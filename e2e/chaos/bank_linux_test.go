//go:build e2e

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/e2e/chaos/load"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// bank is the plugins of one provider and the secret manager behind them, which outlive the hosts of a test.
type bank struct {
	backend *candidates.Backend
	dir     string // of the plugins
	run     string // of their sockets
}

// The versions of the plugin: a good one, and two that go wrong in one way each.
const (
	good   = "1.0.0"
	noisy  = "2.0.0"
	hungry = "3.0.0"
)

// modest is how many reads a process of the hungry version makes before it wants more memory than it may have.
const modest = 20

func newBank(t *testing.T) *bank {
	t.Helper()
	run, err := os.MkdirTemp("", "kw") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	b := &bank{candidates.NewBackend(t), t.TempDir(), run}
	b.backend.Set("cached", "kept")
	b.backend.Set("asked", "fresh")
	candidates.Build(t, kinds.Good, good, b.dir)
	candidates.Build(t, kinds.Noise, noisy, b.dir)
	candidates.Build(t, kinds.Hog.After(modest), hungry, b.dir)
	return b
}

// bankHost is an open host; store N has a plugin process of its own.
type bankHost struct {
	*host.Host
	stores []*host.Store
}

// open opens a host with a store for each of the versions.
func (b *bank) open(t *testing.T, versions ...string) *bankHost {
	t.Helper()
	settings := strings.Replace(b.backend.Settings(), candidates.Token, "secret://env/TOKEN", 1)
	text := "version: 1\nplugins: {dir: .}\nstores:\n"
	for i, v := range versions {
		text += fmt.Sprintf("  s%d: {provider: bank, version: %q, isolation: dedicated, access: read_write, limits: {timeout: %v}, settings: %s}\n", i, v, load.Patience, settings)
	}
	cfg, err := config.Parse(filepath.Join(b.dir, "keyway.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), cfg, host.WithRunDir(b.run),
		host.WithEnviron(func(name string) (string, bool) { return candidates.Token, name == "TOKEN" }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	out := &bankHost{Host: h}
	for i := range versions {
		s, err := h.Store(fmt.Sprintf("s%d", i))
		if err != nil {
			t.Fatal(err)
		}
		out.stores = append(out.stores, s)
	}
	return out
}

// plugin tells of the process of store N.
func (h *bankHost) plugin(t *testing.T, n int) host.PluginStatus {
	t.Helper()
	for _, p := range h.Plugins() {
		if p.Cell == fmt.Sprintf("dedicated s%d", n) {
			return p
		}
	}
	t.Fatalf("no plugin serves store s%d", n)
	return host.PluginStatus{}
}

// ready waits until a later generation than the given one serves store N.
func (h *bankHost) ready(t *testing.T, n, after int) (p host.PluginStatus) {
	t.Helper()
	eventually(t, fmt.Sprintf("a generation after %d is ready for store s%d", after, n), func() bool {
		p = h.plugin(t, n)
		return p.State == "ready" && p.Generation > after && p.PID != 0
	})
	return p
}

// load makes 2,000 calls a second: half of them of values that are cached, half that go to the backends of the first
// stores.
func (h *bankHost) load(t *testing.T, stores int) *load.Load {
	t.Helper()
	const cached = "secret://s0/cached"
	live, err := h.Live(t.Context(), cached)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Resolve(t.Context(), cached); err != nil {
		t.Fatal(err)
	}
	var turn atomic.Int64
	next := func() *host.Store { return h.stores[int(turn.Add(1))%stores] }
	l := load.Start(
		load.Class{Name: "cached Resolve", Rate: 500, Workers: 4, Do: func(ctx context.Context) error {
			v, err := h.Resolve(ctx, cached)
			return is(v, err, "kept")
		}},
		load.Class{Name: "Live.Load", Rate: 500, Workers: 4, Do: func(context.Context) error {
			v, err := live.Load()
			return is(v, err, "kept")
		}},
		load.Class{Name: "uncached Get", Rate: 900, Workers: 64, Do: func(ctx context.Context) error {
			v, err := next().Get(ctx, "asked", "")
			return is(v, err, "fresh")
		}},
		load.Class{Name: "Put", Rate: 100, Workers: 16, Do: func(ctx context.Context) error {
			_, err := next().Put(ctx, sdk.PutRequest{Name: "written", Value: sdk.SensitiveString("w")})
			return err
		}})
	t.Cleanup(func() { l.Stop() })
	return l
}

func is(v *host.Value, err error, want string) error {
	if err == nil && v.Text() != want {
		return sdk.Errorf(sdk.DataLoss, "another value than the secret's")
	}
	return err
}

// failNothing ends the load, and reports what failed and how long calls took.
func failNothing(t *testing.T, l *load.Load) {
	t.Helper()
	total := 0.0
	for _, r := range l.Stop() {
		total += r.Rate
		t.Logf("%-15s %8d calls, %d failed, p50 %v, p99 %v, max %v", r.Class, r.Calls, r.Failed,
			r.P50.Round(time.Microsecond), r.P99.Round(time.Microsecond), r.Max.Round(time.Microsecond))
		if r.Failed != 0 || r.Calls == 0 {
			t.Errorf("%s: %d of %d calls failed, want none of some; the first: %v", r.Class, r.Failed, r.Calls, r.Failure)
		}
	}
	t.Logf("%.0f calls a second", total)
}

// eventually waits for what must happen.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const bound = load.Patience + time.Minute // a stopped process may be found out after 12 s, and this machine may be busy
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}
