//go:build e2e

package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const (
	stores  = 10_000
	readers = 16
	open    = 512 // stores of one provider that a host keeps open
	passes  = 3
	bound   = 1 << 30 // bytes, of the host and of the plugin
)

type set = map[string]any

// openHost opens a host with all stores, which are more than a file may hold. They share one login and have a folder of
// names each.
func openHost(t *testing.T, b *backend) *host.Host {
	t.Helper()
	cfg := &config.Config{
		Version: 1,
		Plugins: config.Plugins{Dir: filepath.Dir(sdktest.Build(t, "github.com/keyway-dev/keyway/plugins/aws-sm"))},
		Cache:   config.Cache{TTL: config.Off},
		Stores:  map[string]config.Store{},
	}
	for i := range stores {
		cfg.Stores[fmt.Sprintf("s%d", i)] = config.Store{Provider: "aws-sm", Settings: set{
			"region": "eu-west-1", "endpoint": b.url, "prefix": fmt.Sprintf("team-%d/", i),
			"auth": set{"static": set{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "secret://env/SCALE_KEY"}},
		}}
	}
	h, err := host.Open(t.Context(), cfg, host.WithEnviron(func(name string) (string, bool) { return "wJalrXUtnFEMI", name == "SCALE_KEY" }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

// readAll reads one secret of every store in turn, with all readers, and counts the reads that failed.
func readAll(t *testing.T, h *host.Host) (failed int64) {
	t.Helper()
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < stores; i = next.Add(1) - 1 {
				v, err := h.Resolve(t.Context(), fmt.Sprintf("secret://s%d/openai", i))
				if err == nil && string(v.Reveal()) == valueOf(fmt.Sprintf("team-%d/openai", i)) {
					continue
				}
				if bad.Add(1) == 1 {
					t.Errorf("store s%d: %v; or the value of another store", i, err)
				}
			}
		})
	}
	wg.Wait()
	return bad.Load()
}

// memory is what a pass has left, in bytes.
type memory struct{ host, plugin, pluginPeak int64 }

// remembered tells what the host's heap holds, and what its one plugin has for itself now and had at most.
func remembered(t *testing.T, h *host.Host) memory {
	t.Helper()
	plugins := h.Plugins()
	if len(plugins) != 1 || plugins[0].Restarts != 0 {
		t.Fatalf("%d plugin processes serve the stores, or one was restarted; want one that lives", len(plugins))
	}
	runtime.GC()
	runtime.GC() // the first one puts pools aside, the second one drops them
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status := statusOf(t, plugins[0].PID)
	return memory{int64(m.HeapAlloc), status["RssAnon"], status["VmHWM"]}
}

// statusOf gives the figures of a process that are in kB, in bytes.
func statusOf(t *testing.T, pid int) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
			out[name] = kib << 10
		}
	}
	return out
}

func openStores(h *host.Host) (n int) {
	for _, s := range h.Stores() {
		if s.Open {
			n++
		}
	}
	return n
}

func TestTenThousandStoresOpenInTurnUnderSixteenReaders(t *testing.T) {
	b := startBackend(t)
	h := openHost(t, b)
	var left [passes]memory
	for i := range passes {
		began := time.Now()
		failed := readAll(t, h)
		left[i] = remembered(t, h)
		t.Logf("pass %d: %d stores in %v, %d reads failed; %d stores are open; host %d MiB, plugin %d MiB, at most %d MiB", i+1, stores,
			time.Since(began).Round(time.Millisecond), failed, openStores(h), left[i].host>>20, left[i].plugin>>20, left[i].pluginPeak>>20)
		if n := openStores(h); n > open {
			t.Errorf("%d stores are open after a pass, want %d at most", n, open)
		}
	}
	if got := b.reads.Load(); got < passes*stores || got > passes*stores*101/100 { // the client may ask again on a machine under load
		t.Errorf("the backend was asked %d times, want once for each of %d reads", got, passes*stores)
	}
	second, last := left[1], left[2]
	if last.host > bound || last.pluginPeak > bound {
		t.Errorf("host %d MiB, plugin at most %d MiB; want less than %d MiB each", last.host>>20, last.pluginPeak>>20, bound>>20)
	}
	if grown(second.host, last.host) || grown(second.plugin, last.plugin) {
		t.Errorf("from the second pass to the third the host went from %d to %d MiB, the plugin from %d to %d MiB; want no growth",
			second.host>>20, last.host>>20, second.plugin>>20, last.plugin>>20)
	}
}

// grown allows for what a collector has not come to yet.
func grown(before, after int64) bool { return after > before+before/2+32<<20 }
