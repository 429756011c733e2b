//go:build e2e && unix

package thread_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
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

func startGateway(t *testing.T, c command) (address string) {
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
			return strings.Fields(rest)[0]
		}
	}
	t.Fatal("the gateway did not start")
	return ""
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
	address := startGateway(t, c)
	get := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/openai/v1/models", nil)
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
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent, failed atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				if err := get(); err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
					return
				}
			}
		})
	}
	for i := 2; i <= 4; i++ {
		rotate(fmt.Sprintf("sk-%d", i))
		for deadline := time.Now().Add(time.Minute); u.seen.Load() < 10; {
			if time.Now().After(deadline) || failed.Load() > 0 {
				t.Fatalf("key %d never arrived upstream; %d of %d requests failed", i, failed.Load(), sent.Load())
			}
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests over 3 rotations, %d failed, %d refused upstream", sent.Load(), failed.Load(), u.refused.Load())
	if u.refused.Load() > 0 {
		t.Errorf("%d requests carried a key that was never valid", u.refused.Load())
	}
}
