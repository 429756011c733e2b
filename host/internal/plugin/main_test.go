package plugin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"

	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// hostMode makes the test binary a host whose catalog is the named directory, plainHostMode one that uses go-plugin as it is
// on the named binary.
const (
	hostMode      = "KEYWAY_TEST_HOST"
	plainHostMode = "KEYWAY_TEST_PLAIN_HOST"
)

// The compiled plugins: one that misbehaves on demand, one that is written as plugins are, and one that is written as
// go-plugin's are.
var fakeBinary, exampleBinary, naiveBinary string

func TestMain(m *testing.M) {
	if dir := os.Getenv(hostMode); dir != "" {
		actAsHost(dir, os.Getenv("FAKE"))
		return
	}
	if path := os.Getenv(plainHostMode); path != "" {
		actAsPlainHost(path)
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keyway-plugin-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	fakeBinary, exampleBinary, naiveBinary = filepath.Join(dir, "fake"), filepath.Join(dir, "example"), filepath.Join(dir, "naive")
	for path, source := range map[string]string{fakeBinary: "./testdata/fake", exampleBinary: "../../../sdk/example/plugin", naiveBinary: "./testdata/naive"} {
		build := exec.Command("go", "build", "-o", path, source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", source, err, out)
			return 1
		}
	}
	return m.Run()
}

// actAsHost starts a plugin, prints its process id and waits to be killed.
func actAsHost(dir, mode string) {
	c := NewCatalog(Options{Dir: dir, RunDir: dir, Env: []string{"FAKE=" + mode}})
	b, err := c.Find("fake", "")
	if err == nil {
		var g *Generation
		if g, err = c.Supervise(b, Cell{}).Current(context.Background()); err == nil {
			fmt.Println(g.PID())
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// actAsPlainHost does the same with go-plugin's client as it is.
func actAsPlainHost(path string) {
	c, cmd := plainClient(path)
	if _, err := c.Client(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cmd.Process.Pid)
	select {}
}

// plainClient is go-plugin's client with nothing but what it asks for.
func plainClient(path string) (*goplugin.Client, *exec.Cmd) {
	cmd := exec.Command(path)
	return goplugin.NewClient(plainConfig(cmd)), cmd
}

func plainConfig(cmd *exec.Cmd) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{MagicCookieKey: dial.CookieKey, MagicCookieValue: dial.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{dial.Protocol: {dial.PluginSet: connection{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Cmd:              cmd,
		Logger:           hclog.NewNullLogger(),
	}
}

// fixture is a catalog with one plugin that misbehaves in one way.
type fixture struct {
	*Catalog
	t      testing.TB
	plugin string // path
	run    string
	log    *safeBuffer
}

// newFixture holds that nothing is left in the run directory when the test ends.
func newFixture(t testing.TB, mode string) *fixture {
	t.Helper()
	run, err := os.MkdirTemp("", "kw-run")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, plugin: filepath.Join(t.TempDir(), "fake"), run: run, log: &safeBuffer{}}
	f.install()
	f.Catalog = NewCatalog(Options{Dir: filepath.Dir(f.plugin), RunDir: run,
		Logger: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
		Env:    []string{"FAKE=" + mode}})
	t.Cleanup(func() {
		left, err := os.ReadDir(run)
		if err != nil || len(left) > 0 {
			t.Errorf("left in the run directory: %v (error %v), want nothing", left, err)
		}
		_ = os.RemoveAll(run)
	})
	return f
}

// install puts the plugin into the directory.
func (f *fixture) install() {
	f.t.Helper()
	if err := os.Link(fakeBinary, f.plugin); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) binary() Binary {
	f.t.Helper()
	b, err := f.Find("fake", "")
	if err != nil {
		f.t.Fatalf("Find: %v", err)
	}
	return b
}

// supervise gives a process that is stopped when the test ends.
func (f *fixture) supervise() *Process {
	f.t.Helper()
	p := f.Supervise(f.binary(), Cell{})
	f.t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			f.t.Errorf("Stop: %v", err)
		}
	})
	return p
}

// startOne verifies a binary and starts one process of it, with sockets of its own.
func startOne(ctx context.Context, t testing.TB, c *Catalog, b Binary) (*Generation, error) {
	t.Helper()
	v, err := c.Verify(ctx, b)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return startVerified(ctx, c, v)
}

func startVerified(ctx context.Context, c *Catalog, v *Verified) (*Generation, error) {
	return c.start(ctx, order{verified: v, number: 1, tail: &output.Tail{}})
}

// get reads one secret of a generation through a fresh store.
func get(ctx context.Context, g *Generation, handle, name string) error {
	s, err := g.Dial().Open(ctx, handle, []byte("{}"))
	if err != nil {
		return err
	}
	_, err = s.Get(ctx, sdk.GetRequest{Name: name})
	return err
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// safeBuffer is a buffer that loggers of several goroutines write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
