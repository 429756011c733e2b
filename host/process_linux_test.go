package host_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// pluginDir is a folder with the compiled example plugin, built once for the test process.
var pluginDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "keyway-host-test")
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(dir, "example"), "../sdk/example/plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // in the sandbox nothing loads libraries
	out, err := build.CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := pluginDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// openProcess opens a host over the compiled example plugin.
func openProcess(t *testing.T, stores string, opts ...host.Option) *host.Host {
	t.Helper()
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), []byte("version: 1\nplugins: {dir: .}\n"+stores))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), cfg, append(opts, host.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, nil))))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

const seeded = `
stores:
  prod: {provider: example, settings: {seed: {k: v, other: w}}}
`

func TestAKilledPluginDelaysReadsAndFailsNone(t *testing.T) {
	h := openProcess(t, seeded)
	s, err := h.Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.Live(t.Context(), "secret://prod/k")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var reads atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Get(t.Context(), "k", ""); err != nil {
					t.Errorf("an uncached read failed: %v", err)
					return
				}
				if v, err := l.Load(); err != nil || v.Text() != "v" {
					t.Errorf("a live value failed: %v", err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for kill := range 5 {
		st := h.Plugins()[0]
		for st.State != "ready" || st.Generation <= kill {
			time.Sleep(time.Millisecond)
			st = h.Plugins()[0]
		}
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for n := reads.Load() + 20; reads.Load() < n && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
	if r := h.Plugins()[0].Restarts; r < 5 {
		t.Errorf("%d restarts after 5 kills", r)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	h := openProcess(t, seeded)
	pid := h.Plugins()[0].PID
	if pid == 0 {
		t.Fatal("no plugin is running")
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal 0 to the plugin after Close: %v, want no such process", err)
	}
}

func TestTheHostsEnvironmentDoesNotReachAPlugin(t *testing.T) {
	t.Setenv("KEYWAY_TEST_CANARY", "canary-in-environment")
	h := openProcess(t, seeded, host.WithPluginEnv("AWS_REGION=eu-central-1"))
	pid := h.Plugins()[0].PID
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "canary-in-environment") {
		t.Error("the plugin's environment holds a variable of the host")
	}
	if !strings.Contains("\x00"+string(env), "\x00AWS_REGION=eu-central-1\x00") {
		t.Error("the plugin's environment lacks what the embedder gave it")
	}
}

func TestSocketsAreMadeWhereTheEmbedderSays(t *testing.T) {
	run, err := os.MkdirTemp("", "kw-run")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	h := openProcess(t, seeded, host.WithRunDir(run))
	if left, err := os.ReadDir(run); err != nil || len(left) != 0 {
		t.Errorf("%d entries are left once the plugin is connected (%v), want none", len(left), err)
	}
	if err := h.Ready(); err != nil {
		t.Error(err)
	}
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), []byte("version: 1\nplugins: {dir: .}\n"+seeded))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(run, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Open(t.Context(), cfg, host.WithRunDir(file)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open with a file for a folder: %v, want an error that names it", err)
	}
}

func TestAFaultThatOnlyThePluginSeesIsPlacedInTheFile(t *testing.T) {
	dir, err := pluginDir()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), []byte(`version: 1
plugins: {dir: .}
stores:
  prod:
    provider: example
    settings:
      denied: [ok, "../x"]
`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = host.Open(t.Context(), cfg)
	if !errors.Is(err, sdk.InvalidArgument) || !strings.Contains(err.Error(), "keyway.yaml:7") || !strings.Contains(err.Error(), "stores.prod.settings.denied") {
		t.Errorf("Open: %v; want the setting's place", err)
	}
}
