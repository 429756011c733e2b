//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	latency  = 20 * time.Millisecond
	parallel = 128 // what the host allows one ResolveAll
)

// distant is a KV v1 server at a distance: every read takes the latency.
type distant struct {
	*httptest.Server
	reads atomic.Int64
}

func newDistant() *distant {
	d := &distant{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/v1/kv/")
		if !ok {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		d.reads.Add(1)
		time.Sleep(latency)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"data":{"key":"value of %s"},"lease_duration":2764800}`, name)
	}))
	return d
}

func (d *distant) client() (*api.Client, error) {
	cfg := api.DefaultConfig()
	cfg.Address = d.URL
	cfg.HttpClient.Transport = &http.Transport{MaxIdleConnsPerHost: parallel}
	c, err := api.NewClient(cfg)
	if err == nil {
		c.SetToken("t")
	}
	return c, err
}

func (d *distant) store(more string) string {
	_ = os.Setenv("BENCH_TOKEN", "t")
	return "stores: {s: {provider: vault, settings: {address: '" + d.URL + "', mount: kv, kv_version: 1, field: key, auth: {token: {token: secret://env/BENCH_TOKEN}}}}}\n" + more
}

// many resolves 1,000 references, against as many reads of the client library, as parallel as the host's.
func (b *bench) many(ctx context.Context) error {
	d := newDistant()
	defer d.Close()
	refs := make([]string, 1000)
	for i := range refs {
		refs[i] = fmt.Sprintf("secret://s/n%d", i)
	}
	var reads int64
	var took []time.Duration
	ours := func(ctx context.Context) error {
		h, err := b.open(ctx, d.store(""))
		if err != nil {
			return err
		}
		defer shut(h)
		before := d.reads.Load()
		began := time.Now()
		_, err = h.ResolveAll(ctx, refs...)
		took = append(took, time.Since(began))
		reads = d.reads.Load() - before
		return err
	}
	floor := func(ctx context.Context) error {
		client, err := d.client() // a new one, as the host is: both begin without a connection
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		places := make(chan struct{}, parallel)
		var failed atomic.Pointer[error]
		for i := range refs {
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				if _, err := client.Logical().ReadWithContext(ctx, fmt.Sprintf("kv/n%d", i)); err != nil {
					failed.Store(&err)
				}
			})
		}
		wg.Wait()
		if p := failed.Load(); p != nil {
			return *p
		}
		return nil
	}
	m, err := turns(ctx, 7, ours, floor)
	if err != nil {
		return err
	}
	b.against("ResolveAll of 1,000 references at 20 ms / bare parallel reads", median(took), m[1], 1.2)
	b.exactly("its requests", reads, 1000)
	return nil
}

// start is from nothing to a host whose plugin has opened its store.
func (b *bench) start(ctx context.Context) error {
	var took []time.Duration
	for range 30 {
		began := time.Now()
		h, err := b.open(ctx, "stores: {s: {provider: example, settings: {seed: {k: v}}}}")
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
		shut(h)
	}
	b.within("host and plugin ready, p50", median(took), 30*time.Millisecond)
	return nil
}

// run is `keyway run` with 100 references, from its own start to the child's.
func (b *bench) run(ctx context.Context) error {
	d := newDistant()
	defer d.Close()
	file := filepath.Join(b.bin, "keyway.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nplugins: {dir: .}\n"+d.store("")), 0o600); err != nil {
		return err
	}
	args := []string{"--config", file, "run"}
	for i := range 100 {
		args = append(args, "--env", fmt.Sprintf("NAME_%d=secret://s/n%d", i, i))
	}
	args = append(args, "--", filepath.Join(b.bin, "began"))
	var took []time.Duration
	for range 15 {
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "keyway"), args...)
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return err
		}
		ns, err := strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64)
		if err != nil {
			return err
		}
		took = append(took, time.Unix(0, ns).Sub(began))
	}
	b.within("keyway run with 100 references at 20 ms, to the child's start", median(took), 60*time.Millisecond)
	return nil
}
