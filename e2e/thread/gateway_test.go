//go:build e2e && unix

package thread_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
)

// upstream accepts the keys that are valid now, and counts what it refused.
type upstream struct {
	*httptest.Server
	mu      sync.Mutex
	valid   map[string]bool
	newest  string
	seen    atomic.Int64 // requests with the newest key
	refused atomic.Int64
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{valid: map[string]bool{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		u.mu.Lock()
		ok, newest := u.valid[key], key == u.newest
		u.mu.Unlock()
		if !ok {
			u.refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if newest {
			u.seen.Add(1)
		}
	}))
	t.Cleanup(u.Close)
	return u
}

// issue makes a key valid beside the older ones, as a provider of models does.
func (u *upstream) issue(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.valid[key], u.newest = true, key
	u.seen.Store(0)
}

func startGateway(t *testing.T, c command) (address string, gateway *os.Process) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "gateway"))
	cmd.Dir, cmd.Env = c.dir, c.env
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for l := range lines {
			t.Log(l)
		}
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
			t.Errorf("the gateway ended with %v", err)
		}
	})
	for l := range lines {
		t.Log(l)
		if _, rest, ok := strings.Cut(l, "gateway listens address="); ok {
			return strings.Fields(rest)[0], cmd.Process
		}
	}
	t.Fatal("the gateway did not start")
	return "", nil
}

// load sends requests to a gateway until it is stopped.
type load struct {
	sent, failed atomic.Int64
	stop         func()
}

func startLoad(t *testing.T, address string) *load {
	l, done := &load{}, make(chan struct{})
	var wg sync.WaitGroup
	l.stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	t.Cleanup(l.stop)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				l.sent.Add(1)
				if err := request(t, address); err != nil {
					l.failed.Add(1)
					t.Errorf("a request failed: %v", err)
					return
				}
			}
		})
	}
	return l
}

func request(t *testing.T, address string) error {
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+address+"/openai/v1/models", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func TestAGatewaySwapsAPluginUnderLoadWithoutAFailedRequest(t *testing.T) {
	u, bank, plugins := newUpstream(t), candidates.NewBackend(t), t.TempDir()
	u.issue("sk-1")
	bank.Set("openai", "sk-1")
	candidates.Build(t, kinds.Good, "1.0.0", plugins)
	c := newCommand(t, "TOKEN="+candidates.Token)
	c.write(t, "keyway.yaml", fmt.Sprintf(`version: 1
plugins: {dir: %s}
stores:
  prod: {provider: bank, settings: %s, cache: {ttl: 100ms}}
`, plugins, strings.Replace(bank.Settings(), candidates.Token, "secret://env/TOKEN", 1)))
	c.write(t, "routes.yaml", fmt.Sprintf(`listen: 127.0.0.1:0
routes:
  - {path: /openai/, upstream: "%s", header: Authorization, key: "Bearer ${secret://prod/openai}"}
`, u.URL))
	address, gateway := startGateway(t, c)
	load := startLoad(t, address)
	for i, version := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		candidates.Build(t, kinds.Good, version, plugins)
		logins := bank.Stats().Logins
		if err := gateway.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, load, "the new version logs in", func() bool { return bank.Stats().Logins > logins })
		key := fmt.Sprintf("sk-%d", i+2)
		u.issue(key)
		bank.Set("openai", key)
		waitFor(t, load, "requests with a key that it read", func() bool { return u.seen.Load() > 10 })
	}
	load.stop()
	t.Logf("%d requests over 3 swaps, %d failed", load.sent.Load(), load.failed.Load())
}

func waitFor(t *testing.T, l *load, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(deadline) || l.failed.Load() > 0 {
			t.Fatalf("%s: never came; %d of %d requests failed", what, l.failed.Load(), l.sent.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAGatewayUsesARotatedKeyWithoutARestartOrAFailedRequest(t *testing.T) {
	u := newUpstream(t)
	mount := srv.KV(t, 2)
	rotate := func(key string) {
		u.issue(key)
		srv.Write(t, mount+"/data/openai", map[string]any{"data": map[string]any{"key": key}})
	}
	rotate("sk-1")
	c := newCommand(t, "BAO_TOKEN="+srv.NewToken(t, reader(mount)))
	c.write(t, "keyway.yaml", fmt.Sprintf(`version: 1
plugins: {dir: %s}
stores:
  prod:
    provider: vault
    settings: {address: %s, mount: %s, auth: {token: {token: secret://env/BAO_TOKEN}}}
    cache: {ttl: 1s}
`, bin, srv.Addr, mount))
	c.write(t, "routes.yaml", fmt.Sprintf(`listen: %s
routes:
  - {path: /openai/, upstream: "%s", header: Authorization, key: "Bearer ${secret://prod/openai#/key}"}
`, "127.0.0.1:0", u.URL))
	address, _ := startGateway(t, c)
	load := startLoad(t, address)
	for i := 2; i <= 4; i++ {
		rotate(fmt.Sprintf("sk-%d", i))
		for deadline := time.Now().Add(time.Minute); u.seen.Load() < 10; {
			if time.Now().After(deadline) || load.failed.Load() > 0 {
				t.Fatalf("key %d never arrived upstream; %d of %d requests failed", i, load.failed.Load(), load.sent.Load())
			}
			time.Sleep(time.Millisecond)
		}
	}
	load.stop()
	t.Logf("%d requests over 3 rotations, %d failed, %d refused upstream", load.sent.Load(), load.failed.Load(), u.refused.Load())
	if u.refused.Load() > 0 {
		t.Errorf("%d requests carried a key that was never valid", u.refused.Load())
	}
}
