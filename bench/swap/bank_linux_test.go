//go:build e2e

package swap

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
)

// versions are those that swaps go to and fro between.
var versions = [2]string{"1.0.0", "1.1.0"}

// bank is two versions of a plugin, and the secret manager behind them.
type bank struct {
	backend *candidates.Backend
	dir     string
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{candidates.NewBackend(t), t.TempDir()}
	b.backend.Set("k", "v")
	for _, v := range versions {
		candidates.Build(t, kinds.Good, v, b.dir)
	}
	return b
}

// open opens a host in the given sandbox mode with a number of stores. Each has a plugin process of its own.
func (b *bank) open(t *testing.T, sandbox string, stores int, opts ...host.Option) *host.Host {
	t.Helper()
	settings := strings.Replace(b.backend.Settings(), candidates.Token, "secret://env/TOKEN", 1)
	text := fmt.Sprintf("version: 1\nplugins: {dir: ., sandbox: %q}\nstores:\n", sandbox)
	for i := range stores {
		text += fmt.Sprintf("  s%d: {provider: bank, version: %q, isolation: dedicated, access: read_write, settings: %s}\n", i, "*", settings)
	}
	cfg, err := config.Parse(filepath.Join(b.dir, "keyway.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), cfg, append(opts,
		host.WithEnviron(func(name string) (string, bool) { return candidates.Token, name == "TOKEN" }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h
}

func shut(t *testing.T, h *host.Host) {
	t.Helper()
	if err := h.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// starts hears from the host's log how long each start of a plugin took.
type starts struct {
	slog.Handler
	took chan time.Duration
}

func newStarts() *starts { return &starts{slog.DiscardHandler, make(chan time.Duration, 64)} }

func (*starts) Enabled(context.Context, slog.Level) bool { return true }
func (s *starts) WithAttrs([]slog.Attr) slog.Handler     { return s }

// Handle takes the duration out of a start's record.
func (s *starts) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "plugin is ready" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "took" {
			s.took <- a.Value.Duration()
		}
		return true
	})
	return nil
}

// memory is a process's, in bytes. What is private and not anonymous is the image, which the system can drop.
type memory struct{ resident, private, anonymous int64 }

func memoryOf(t *testing.T, pid int) (m memory) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		kib, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		switch f[0] {
		case "Rss:":
			m.resident += kib << 10
		case "Private_Clean:", "Private_Dirty:":
			m.private += kib << 10
		case "Anonymous:":
			m.anonymous += kib << 10
		}
	}
	return m
}

// children gives the processes that this one has started and that have not ended.
func children(t *testing.T) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	parent := fmt.Appendf(nil, "\nPPid:\t%d\n", os.Getpid())
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status")); err == nil && bytes.Contains(status, parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// wait waits for a time.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// eventually waits for what must happen.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const bound = 30 * time.Second
	for until := time.Now().Add(bound); !ok(); wait(t, time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}
