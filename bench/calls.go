//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/api"
	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// open opens a host over the compiled plugins.
func (b *bench) open(ctx context.Context, yaml string) (*host.Host, error) {
	cfg, err := config.Parse(filepath.Join(b.bin, "keyway.yaml"), []byte("version: 1\nplugins: {dir: .}\n"+yaml))
	if err != nil {
		return nil, err
	}
	return host.Open(ctx, cfg)
}

func shut(h *host.Host) { _ = h.Close(context.Background()) }

// rawPlugin is go-plugin as its own documentation shows it.
type rawPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (rawPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errors.New("a client") }
func (rawPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return pb.NewPluginClient(c), nil
}

func (b *bench) startFloor() (pb.PluginClient, func(), error) {
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "KEYWAY_FLOOR", MagicCookieValue: "1"},
		Plugins:          plugin.PluginSet{"raw": rawPlugin{}},
		Cmd:              exec.Command(filepath.Join(b.bin, "floor")), //nolint:noctx // go-plugin ends it
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	p, err := c.Client()
	if err != nil {
		c.Kill()
		return nil, nil, err
	}
	raw, err := p.Dispense("raw")
	client, ok := raw.(pb.PluginClient)
	if err != nil || !ok {
		c.Kill()
		return nil, nil, errors.Join(err, errors.New("dispensed another thing than a client"))
	}
	return client, c.Kill, nil
}

// call is an uncached read through the host and a plugin that answers from memory, against go-plugin's bare unary call.
func (b *bench) call(ctx context.Context) error {
	raw, stop, err := b.startFloor()
	if err != nil {
		return err
	}
	defer stop()
	h, err := b.open(ctx, "stores: {s: {provider: example, settings: {seed: {k: sk-0123456789abcdef}}}}")
	if err != nil {
		return err
	}
	defer shut(h)
	s, err := h.Store("s")
	if err != nil {
		return err
	}
	ours := func(ctx context.Context) error { _, err := s.Get(ctx, "k", ""); return err }
	floor := func(ctx context.Context) error {
		_, err := raw.Get(ctx, &pb.GetRequest{Store: "s~1", Name: "k"})
		return err
	}
	m, err := turns(ctx, 20000, ours, floor)
	if err != nil {
		return err
	}
	b.against("uncached Get, host and plugin / bare go-plugin call, p50", m[0], m[1], 1.15)
	m, err = turns(ctx, 60, at64(ours), at64(floor))
	if err != nil {
		return err
	}
	b.against("the same, 64 callers, time of 6,400 calls", m[0], m[1], 1.25)
	return nil
}

// at64 makes 100 calls from each of 64 callers.
func at64(f side) side {
	return func(ctx context.Context) error {
		var wg sync.WaitGroup
		errs := make(chan error, 64)
		for range 64 {
			wg.Go(func() {
				for range 100 {
					if err := f(ctx); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	}
}

// openbao is a read of a real server through host and plugin, against its client library called directly.
func (b *bench) openbao(ctx context.Context) error {
	server, stop, err := openbao.Run()
	if err != nil {
		return err
	}
	defer stop()
	client := server.Client()
	if err := client.Sys().MountWithContext(ctx, "bench", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}); err != nil {
		return err
	}
	if _, err := client.KVv2("bench").Put(ctx, "openai", map[string]any{"key": "sk-0123456789abcdef"}); err != nil {
		return err
	}
	_ = os.Setenv("BENCH_TOKEN", server.Token)
	h, err := b.open(ctx, "stores: {s: {provider: vault, settings: {address: '"+server.Addr+"', mount: bench, field: key, auth: {token: {token: secret://env/BENCH_TOKEN}}}}}")
	if err != nil {
		return err
	}
	defer shut(h)
	s, err := h.Store("s")
	if err != nil {
		return err
	}
	raw, stopRaw, err := b.startFloor()
	if err != nil {
		return err
	}
	defer stopRaw()
	m, err := turns(ctx, 4000,
		func(ctx context.Context) error { _, err := s.Get(ctx, "openai", ""); return err },
		func(ctx context.Context) error { _, err := client.KVv2("bench").Get(ctx, "openai"); return err },
		func(ctx context.Context) error {
			_, err := raw.Get(ctx, &pb.GetRequest{Store: "s~1", Name: "k"})
			return err
		})
	if err != nil {
		return err
	}
	b.against("host, plugin, OpenBao / client library called directly, p50", m[0], m[1], 1.35)
	// What a plugin in a process of its own costs at the least: the direct call and one bare go-plugin call.
	b.against("the same / the direct call plus a bare go-plugin call", m[0], m[1]+m[2], 1.15)
	return nil
}

// cached is what the gateway's every request costs.
func (b *bench) cached(ctx context.Context) error {
	h, err := b.open(ctx, `stores: {s: {provider: example, settings: {seed: {k: '{"a": "sk-0123456789abcdef"}'}}}}`)
	if err != nil {
		return err
	}
	defer shut(h)
	live, err := h.Live(ctx, "secret://s/k#/a")
	if err != nil {
		return err
	}
	var failed error
	resolve := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for t.Loop() {
			if _, err := h.Resolve(ctx, "secret://s/k#/a"); err != nil {
				failed = err
			}
		}
	})
	load := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for t.Loop() {
			if _, err := live.Load(); err != nil {
				failed = err
			}
		}
	})
	var word atomic.Pointer[host.Value]
	floor := testing.Benchmark(func(t *testing.B) {
		for t.Loop() {
			if word.Load() != nil {
				failed = errors.New("the floor loaded something")
			}
		}
	})
	b.nanoseconds("cached Resolve by text", resolve, 60)
	b.nanoseconds("Live.Load", load, 2)
	b.rows = append(b.rows, row{what: "for scale: an atomic load in the same loop", ours: perOp(floor), met: true})
	return failed
}

func perOp(r testing.BenchmarkResult) string {
	return fmt.Sprintf("%.1f ns", float64(r.T.Nanoseconds())/float64(r.N))
}

// nanoseconds adds rows for the time and the allocations of an operation.
func (b *bench) nanoseconds(what string, r testing.BenchmarkResult, goal float64) {
	b.rows = append(b.rows, row{what: what, ours: perOp(r), goal: fmt.Sprintf("<= %.0f ns", goal), met: float64(r.T.Nanoseconds())/float64(r.N) <= goal})
	b.exactly("its allocations", r.AllocsPerOp(), 0)
}
