package plugin

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// withExample adds the example plugin to a catalog.
func withExample(t testing.TB) (*fixture, Binary) {
	t.Helper()
	f := newFixture(t, "")
	if err := os.Link(exampleBinary, filepath.Join(f.opts.Dir, "example")); err != nil {
		t.Fatal(err)
	}
	b, err := f.Find("example", "")
	if err != nil {
		t.Fatal(err)
	}
	return f, b
}

func TestARealPluginServesAndEndsByItself(t *testing.T) {
	f, b := withExample(t)
	said, err := f.Describe(t.Context(), b)
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	g, err := startOne(t.Context(), t, f.Catalog, b)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	if m := g.Manifest(); m.Name != said.Name || m.Version != said.Version || !bytes.Contains(m.Schema, []byte("properties")) {
		t.Errorf("over the wire the plugin is %s %s, and with --describe %s %s", m.Name, m.Version, said.Name, said.Version)
	}
	s, err := g.Dial().Open(t.Context(), "s~1", []byte("{}"))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	large := strings.Repeat("v", sdk.MaxValue)
	if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "large", Value: sdk.NewSensitive([]byte(large))}); err != nil {
		t.Errorf("Put of %d bytes: %v", sdk.MaxValue, err)
	}
	if got, err := s.Get(t.Context(), sdk.GetRequest{Name: "large"}); err != nil || got.Value.Len() != len(large) {
		t.Errorf("Get: %d bytes, %v, want %d", got.Value.Len(), err, len(large))
	}
	g.stop(t.Context(), f.stop)
	if got := g.run.process().ExitText(); got != "exit status 0" {
		t.Errorf("ended with %s, want exit status 0", got)
	}
	if log := f.log.String(); strings.Contains(log, "vvvv") {
		t.Error("the log holds the value")
	}
}

// BenchmarkStart is the time from the fork to the first answer.
func BenchmarkStart(b *testing.B) {
	f, binary := withExample(b)
	for b.Loop() {
		g, err := startOne(context.Background(), b, f.Catalog, binary)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		g.stop(context.Background(), f.stop)
		b.StartTimer()
	}
}

// BenchmarkStop is the time of a polite stop of an idle plugin.
func BenchmarkStop(b *testing.B) {
	f, binary := withExample(b)
	for b.Loop() {
		b.StopTimer()
		g, err := startOne(context.Background(), b, f.Catalog, binary)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		g.stop(context.Background(), f.stop)
	}
}

// BenchmarkRecover is the time from a kill to the next answer of a supervised plugin.
func BenchmarkRecover(b *testing.B) {
	f, binary := withExample(b)
	for b.Loop() {
		b.StopTimer()
		p := f.Supervise(binary, Cell{})
		g, err := p.Current(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		g.run.kill()
		if g, err = p.After(context.Background(), g); err == nil {
			_, err = g.Dial().Describe(context.Background())
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := p.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkCurrent is what asking for the running generation costs a call.
func BenchmarkCurrent(b *testing.B) {
	f, binary := withExample(b)
	p := f.Supervise(binary, Cell{})
	defer func() { _ = p.Stop(context.Background()) }()
	if _, err := p.Current(context.Background()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Current(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
