package host_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// lines is a sink that keeps what it is told, or refuses it.
type lines struct {
	mu     sync.Mutex
	all    []audit.Line
	refuse error
}

func (l *lines) Write(_ context.Context, line audit.Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	l.all = append(l.all, line)
	return nil
}

// text gives every line as JSON.
func (l *lines) text(t *testing.T) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := json.Marshal(l.all)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (l *lines) has(event audit.Event, op string, digest bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if line.Event == event && line.Op == op && strings.HasPrefix(line.PluginDigest, "sha256:") == digest {
			return true
		}
	}
	return false
}

func TestTheAuditTellsCallsChangesReadsAndPluginsAndNoValue(t *testing.T) {
	sink := &lines{}
	b := openBank(t, "", host.WithAudit(sink))
	candidates.Build(t, kinds.Good, "1.1.0", b.dir)
	if _, err := b.Resolve(t.Context(), "secret://prod/a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.prod.Put(t.Context(), sdk.PutRequest{Name: "new", Value: sdk.SensitiveString("canary-value")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Swap(t.Context(), host.Swap{Plugin: "bank", Version: "1.1.0"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		event  audit.Event
		op     string
		digest bool
	}{{audit.Call, "get", true}, {audit.Call, "put", true}, {audit.Change, "put", true}, {audit.Change, "swap", false}, {audit.Plugin, "ready", true}, {audit.Read, "get", false}} {
		if !sink.has(want.event, want.op, want.digest) {
			t.Errorf("no %s line of %s (digest %v)", want.event, want.op, want.digest)
		}
	}
	if text := sink.text(t); strings.Contains(text, "canary-value") || strings.Contains(text, "value of a") || strings.Contains(text, candidates.Token) {
		t.Error("the audit holds a value")
	}
}

func TestAnEmbedderSaysWhoAsks(t *testing.T) {
	sink := &lines{}
	b := openBank(t, "", host.WithAudit(sink))
	alice := audit.Origin{Actor: audit.Actor{Kind: audit.Embedded, Who: "alice"}, RequestID: "r7", TraceID: "t9"}
	ctx := audit.WithOrigin(t.Context(), alice)
	if _, err := b.Resolve(ctx, "secret://prod/a"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"secret://nowhere/a", "no reference"} {
		if _, err := b.Resolve(ctx, bad); err == nil {
			t.Fatalf("Resolve(%q) gave a value", bad)
		}
	}
	b.ResolveEach(ctx, "secret://prod/a", "secret://prod/none")
	if _, err := b.prod.Put(ctx, sdk.PutRequest{Name: "new", Value: sdk.SensitiveString("canary-value")}); err != nil {
		t.Fatal(err)
	}
	if err := b.Rollback(ctx, "bank", nil); sdk.CodeOf(err) != sdk.NotFound {
		t.Fatalf("Rollback: %v, want not found", err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range sink.all {
		if l.Event != audit.Request && l.Event != audit.Change {
			if l.Event == audit.Read {
				t.Errorf("a read by alice is in the sum: %+v", l)
			}
			continue
		}
		got = append(got, strings.TrimSpace(l.Op+" "+l.Name+": "+l.Code+" "+string(l.Source)))
		if l.Actor != alice.Actor || l.RequestID != "r7" || l.TraceID != "t9" {
			t.Errorf("%s %s is told as by %+v in %q, want alice's", l.Op, l.Name, l.Actor, l.RequestID)
		}
	}
	want := []string{"get a: ok backend", "get : not found", "get : invalid argument", "get a: ok cache", "get none: not found",
		"put new:", "put new: ok", "rollback :", "rollback : not found"}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has %q, want %q", got, want)
	}
}

func TestAChangeThatCannotBeRecordedIsNotMade(t *testing.T) {
	sink := &lines{}
	b := openBank(t, "", host.WithAudit(sink))
	sink.mu.Lock()
	sink.refuse = sdk.Errorf(sdk.Unavailable, "the disk is full")
	sink.mu.Unlock()
	if _, err := b.prod.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("w")}); sdk.CodeOf(err) != sdk.FailedPrecondition {
		t.Errorf("a write while the audit fails: %v, want failed precondition", err)
	}
	b.read(t) // reads go on, and nothing was written
}

func TestTheConfigurationsFileIsWrittenAndAPlaceThatIsNoneStopsTheStart(t *testing.T) {
	b := openBank(t, "")
	file := filepath.Join(b.dir, "audit.jsonl")
	cfg := b.config(t, "")
	cfg.Audit = config.Audit{File: file}
	token := host.WithEnviron(func(name string) (string, bool) { return candidates.Token, name == "TOKEN" })
	h, err := host.Open(t.Context(), cfg, token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Resolve(t.Context(), "secret://prod/a"); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `"op":"get"`) || strings.Contains(string(text), "value of a") {
		t.Errorf("the audit has %d bytes (%v), want the read and no value", len(text), err)
	}
	cfg.Audit.File = filepath.Join(b.dir, "nowhere", "audit.jsonl")
	if _, err := host.Open(t.Context(), cfg, token); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Open with an audit that cannot be written: %v, want an error that names it", err)
	}
}
