//go:build unix

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/bench/matrix"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// Goals of each provider.
const (
	callShare     = 1.15                  // of a bare go-plugin call, which a read may cost beyond a direct one
	awsMany       = 80 * time.Millisecond // for 1,000 names at 20 ms, in batches of 20
	awsRequests   = matrix.Secrets / 20
	privateMemory = 8 << 20 // bytes of an idle plugin
)

// provider is one line of the matrix.
type provider struct {
	name              string
	get, direct, call time.Duration // medians
	many              time.Duration // ResolveAll of all secrets, 20 ms away
	requests          int64         // that it made
	binary, memory    int64         // bytes; 0 where the system does not tell
}

// matrix measures every provider beside its vendor's client library.
func (b *bench) matrix(ctx context.Context) error {
	raw, stop, err := b.startFloor()
	if err != nil {
		return err
	}
	defer stop()
	return matrix.Start(ctx, func(m *matrix.Manager) error {
		p := provider{name: m.Provider}
		info, err := os.Stat(filepath.Join(b.bin, m.Provider))
		if err != nil {
			return err
		}
		p.binary = info.Size()
		if err := b.near(ctx, m, raw, &p); err != nil {
			return err
		}
		if err := b.far(ctx, m, &p); err != nil {
			return err
		}
		b.providers = append(b.providers, p)
		return nil
	})
}

// store opens a host with the manager's store "s".
func (b *bench) store(ctx context.Context, m *matrix.Manager) (*host.Host, error) {
	return host.Open(ctx, &config.Config{Version: 1, Plugins: config.Plugins{Dir: b.bin},
		Stores: map[string]config.Store{"s": {Provider: m.Provider, Settings: m.Settings}}},
		host.WithEnviron(func(name string) (string, bool) { v, ok := m.Env[name]; return v, ok }))
}

// near is one read at a time of a server that answers at once, and what the plugin holds after the first one.
func (b *bench) near(ctx context.Context, m *matrix.Manager, raw pb.PluginClient, p *provider) error {
	h, err := b.store(ctx, m)
	if err != nil {
		return err
	}
	defer shut(h)
	s, err := h.Store("s")
	if err != nil {
		return err
	}
	read := func(ctx context.Context) error {
		if m.Name == nil {
			_, err := s.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: m.Ciphertext(0)})
			return err
		}
		_, err := s.Get(ctx, m.Name(0), "")
		return err
	}
	if err := read(ctx); err != nil {
		return err
	}
	for _, process := range h.Plugins() {
		p.memory += anonymous(process.PID)
	}
	bare := func(ctx context.Context) error {
		_, err := raw.Get(ctx, &pb.GetRequest{Store: "s~1", Name: "k"})
		return err
	}
	medians, err := turns(ctx, 1500, read, m.Direct, bare)
	if err != nil {
		return err
	}
	p.get, p.direct, p.call = medians[0], medians[1], medians[2]
	return nil
}

// anonymous is the memory that a process has for itself and that no file holds; 0 where the system does not tell.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	text, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// far resolves all secrets of a server at a distance, each time with a new host: without a connection or a login.
func (b *bench) far(ctx context.Context, m *matrix.Manager, p *provider) error {
	refs := make([]string, matrix.Secrets)
	for i := range refs {
		if m.Name == nil {
			refs[i] = "decrypt://s/" + base64.RawURLEncoding.EncodeToString(m.Ciphertext(i))
		} else {
			refs[i] = "secret://s/" + m.Name(i)
		}
	}
	m.Delay(latency)
	var took []time.Duration
	for range 5 {
		h, err := b.store(ctx, m)
		if err != nil {
			return err
		}
		before, began := m.Requests(), time.Now()
		_, err = h.ResolveAll(ctx, refs...)
		took = append(took, time.Since(began))
		p.requests = m.Requests() - before
		shut(h)
		if err != nil {
			return err
		}
	}
	p.many = median(took)
	return nil
}

// printMatrix says in each row which goal is missed.
func (b *bench) printMatrix() {
	if len(b.providers) == 0 {
		return
	}
	const form = "%-10s %10s %10s %10s %10s  %12s %9s  %10s %10s  %s\n"
	fmt.Printf("\nGet, p50; goal: the vendor's client + %.2f x a bare go-plugin call; %d secrets at %v by ResolveAll; plugin: its file, and its own memory when idle (goal %d MB)\n",
		callShare, matrix.Secrets, latency, privateMemory>>20)
	fmt.Printf(form, "", "Keyway", "client", "bare call", "goal", "all", "requests", "file MB", "memory MB", "")
	for _, p := range b.providers {
		goal := p.direct + time.Duration(callShare*float64(p.call))
		var missed []string
		if p.get > goal {
			missed = append(missed, fmt.Sprintf("Get is %.2f x its goal", float64(p.get)/float64(goal)))
		}
		if p.name == "aws-sm" && (p.many > awsMany || p.requests != awsRequests) {
			missed = append(missed, fmt.Sprintf("all: goal %v in %d requests", awsMany, awsRequests))
		}
		if p.memory > privateMemory {
			missed = append(missed, "memory")
		}
		verdict := "met"
		if len(missed) > 0 {
			verdict = "missed: " + strings.Join(missed, ", ")
		}
		fmt.Printf(form, p.name, micro(p.get), micro(p.direct), micro(p.call), micro(goal), p.many.Round(time.Millisecond/10), strconv.FormatInt(p.requests, 10),
			megabytes(p.binary), megabytes(p.memory), verdict)
	}
}

func micro(d time.Duration) string { return d.Round(time.Microsecond).String() }

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
