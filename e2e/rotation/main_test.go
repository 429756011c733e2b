//go:build e2e && unix

// Package rotation_test replaces the credentials of stores under reads, with a host over the compiled plugins: the settings
// name a file, the file is replaced, and nothing else is done. No read may fail, and the server sees one more login.
package rotation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

type set = map[string]any

// gateway is a host with one store, whose credentials are in a folder that it may read.
type gateway struct {
	dir   string
	store *host.Store
}

// replace puts a file into the folder, whole or not at all.
func replace(t *testing.T, dir, name, content string) {
	t.Helper()
	next := filepath.Join(dir, "."+name+".next")
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// open opens the host. The files of dir that the settings name are looked at every second.
func open(t *testing.T, dir, provider string, settings set) *gateway {
	t.Helper()
	cfg := &config.Config{
		File:    filepath.Join(dir, "keyway.yaml"),
		Version: 1,
		Plugins: config.Plugins{Dir: filepath.Dir(sdktest.Build(t, "github.com/keyway-dev/keyway/plugins/"+provider))},
		Sources: config.Sources{File: []string{"."}},
		Cache:   config.Cache{TTL: time.Second},
		Stores:  map[string]config.Store{"prod": {Provider: provider, Settings: settings}},
	}
	h, err := host.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	s, err := h.Store("prod")
	if err != nil {
		t.Fatal(err)
	}
	return &gateway{dir, s}
}

// readers read a secret one time after the other, past the cache.
type readers struct {
	t     *testing.T
	reads [8]atomic.Int64 // that each of them has ended
}

// underReads runs f while a store is read. It fails the test for every read that fails.
func underReads(t *testing.T, g *gateway, name, want string, f func(*readers)) {
	t.Helper()
	r := &readers{t: t}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer func() {
		close(stop)
		wg.Wait()
	}()
	for i := range r.reads {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, err := g.store.Get(t.Context(), name, "")
				if err != nil {
					t.Errorf("a read failed: %v", err)
					return
				}
				if string(v.Reveal()) != want {
					t.Error("a read gave another value")
					return
				}
				r.reads[i].Add(1)
			}
		})
	}
	r.turn()
	f(r)
	r.turn()
}

// turn waits until everybody has read twice: what was under way before is at an end, and on what is open now a read was made.
func (r *readers) turn() {
	r.t.Helper()
	var before [len(r.reads)]int64
	for i := range r.reads {
		before[i] = r.reads[i].Load()
	}
	until(r.t, "everybody has read twice more", func() bool {
		for i := range r.reads {
			if r.reads[i].Load() < before[i]+2 {
				return false
			}
		}
		return true
	})
}

// until waits for what must happen; a test that has failed waits for nothing.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(20*time.Millisecond), time.NewTimer(60*time.Second)
	defer tick.Stop()
	defer limit.Stop()
	for !holds() {
		if t.Failed() {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// wantLogins says how many logins the server has seen.
func wantLogins(t *testing.T, when string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s the server has seen %d logins, want %d", when, got, want)
	}
}

// counter stands in front of a server and keeps count of what it lets through.
type counter struct {
	url   string
	mu    sync.Mutex
	times map[string]int
}

// count starts one. key says under which word a request is counted; empty: not at all.
func count(t *testing.T, server string, key func(*http.Request) string) *counter {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{times: map[string]int{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which a signature covers
	}}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k := key(r); k != "" {
			c.mu.Lock()
			c.times[k]++
			c.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	c.url = web.URL
	return c
}

func (c *counter) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times[key]
}

// login is the word for requests that log in to Vault.
func login(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/v1/auth/") && strings.HasSuffix(r.URL.Path, "/login") {
		return "login"
	}
	return ""
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// reading are the rules for reads of a mount of version 1.
func reading(mount string) string {
	return fmt.Sprintf("path %q { capabilities = [\"read\"] }", mount+"/*")
}
