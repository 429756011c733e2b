package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

// kept is a sink in memory, which fails while it has an error.
type kept struct {
	mu    sync.Mutex
	lines []audit.Line
	err   error
}

func (k *kept) Write(_ context.Context, line audit.Line) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.lines = append(k.lines, line)
	return nil
}

func (k *kept) all() []audit.Line {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.lines)
}

func (k *kept) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func TestALineHasNoPlaceForAValue(t *testing.T) {
	line := reflect.TypeFor[audit.Line]()
	allowed := []string{"v", "time", "seq", "host", "event", "actor", "op", "store", "provider", "plugin_version", "plugin_digest",
		"name", "version", "code", "source", "count", "took_us", "changed", "request_id", "trace_id", "detail"}
	for i := range line.NumField() {
		f := line.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !slices.Contains(allowed, name) {
			t.Errorf("Line has the field %s (%q); decide whether it can hold a value or a hash of one before it is allowed here", f.Name, name)
		}
		if f.Type == reflect.TypeFor[sdk.Sensitive]() || f.Type == reflect.TypeFor[[]byte]() {
			t.Errorf("Line.%s is a %v, which holds values", f.Name, f.Type)
		}
	}
}

func TestLinesOfALogAreNumberedDatedAndNamed(t *testing.T) {
	sink := &kept{}
	log := audit.NewLog(sink, audit.LogOptions{Host: "gw-1"})
	log.Record(t.Context(), audit.Line{Event: audit.Call, Op: "get"})
	log.Record(t.Context(), audit.Line{Event: audit.Call, Op: "get", Host: "another", Seq: 99, V: 7})
	lines := sink.all()
	if len(lines) != 2 {
		t.Fatalf("the sink got %d lines, want 2", len(lines))
	}
	for i, l := range lines {
		if l.Seq != uint64(i+1) || l.Host != "gw-1" || l.V != audit.Version || l.Time.IsZero() {
			t.Errorf("line %d: seq %d, host %q, v %d, time %v", i, l.Seq, l.Host, l.V, l.Time)
		}
	}
}

func TestRootIsToldFromSomebodyUnknown(t *testing.T) {
	root := uint32(0)
	for _, tt := range []struct {
		actor audit.Actor
		want  string
	}{
		{audit.Actor{Kind: audit.Socket, UID: &root}, `{"kind":"socket","uid":0}`},
		{audit.Actor{Kind: audit.Embedded}, `{"kind":"embedded"}`},
	} {
		got, err := json.Marshal(tt.actor)
		if err != nil || string(got) != tt.want {
			t.Errorf("actor is %s (%v), want %s", got, err, tt.want)
		}
	}
}

func TestAChangeIsToldBeforeItIsMadeAndAfter(t *testing.T) {
	sink := &kept{}
	log := audit.NewLog(sink, audit.LogOptions{})
	refused := sdk.Errorf(sdk.Aborted, "put k: another version is there")
	for _, outcome := range []error{nil, refused} {
		err := log.Change(t.Context(), audit.Line{Op: "put", Store: "prod", Name: "k", Code: "ok"}, func(_ context.Context, line *audit.Line) error {
			if n := len(sink.all()); n%2 != 1 {
				t.Errorf("%d lines when the change is made; its own must be there", n)
			}
			line.Version = "7"
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Errorf("Change: %v, want %v", err, outcome)
		}
	}
	var got []string
	for _, l := range sink.all() {
		got = append(got, string(l.Event)+" "+l.Version+" "+l.Code+" "+l.Detail)
	}
	want := []string{"change   ", "change 7 ok ", "change   ", "change 7 aborted put k: another version is there"}
	if !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}

func TestAChangeThatCannotBeRecordedIsNotMade(t *testing.T) {
	sink := &kept{err: errors.New("no space left on device")}
	log := audit.NewLog(sink, audit.LogOptions{OnFailure: audit.RefuseChanges})
	err := log.Change(t.Context(), audit.Line{Op: "put", Store: "prod"}, func(context.Context, *audit.Line) error {
		t.Error("the change was made")
		return nil
	})
	if sdk.CodeOf(err) != sdk.FailedPrecondition {
		t.Errorf("Change: %v, want FailedPrecondition", err)
	}
	for _, piece := range []string{"put prod", "nothing was changed", "no space left on device", "on_failure"} {
		if err != nil && !strings.Contains(err.Error(), piece) {
			t.Errorf("the error %q does not say %q", err, piece)
		}
	}
	if log.Dropped() != 1 {
		t.Errorf("dropped %d, want 1", log.Dropped())
	}
}

func TestAChangeWhoseCallerLeftIsNotMade(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sink := &kept{err: context.Canceled}
	err := audit.NewLog(sink, audit.LogOptions{}).Change(ctx, audit.Line{Op: "swap", Provider: "vault"}, func(context.Context, *audit.Line) error {
		t.Error("the change was made")
		return nil
	})
	if sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("Change: %v, want Canceled", err)
	}
}

func TestTheOperatorMayLetChangesGoOnWithoutAnAudit(t *testing.T) {
	sink := &kept{err: errors.New("no space left on device")}
	log := audit.NewLog(sink, audit.LogOptions{OnFailure: audit.Continue})
	made := false
	err := log.Change(t.Context(), audit.Line{Op: "put"}, func(context.Context, *audit.Line) error {
		made = true
		return nil
	})
	if err != nil || !made {
		t.Errorf("Change: %v, made %v", err, made)
	}
	if log.Dropped() != 2 {
		t.Errorf("dropped %d, want both lines", log.Dropped())
	}
}

func TestTheOutcomeIsToldThoughTheCallerLeftInTheMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan error, 2)
	log := audit.NewLog(sinkFunc(func(ctx context.Context, _ audit.Line) error { seen <- ctx.Err(); return ctx.Err() }), audit.LogOptions{})
	err := log.Change(ctx, audit.Line{Op: "put"}, func(context.Context, *audit.Line) error { cancel(); return ctx.Err() })
	if sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("Change: %v, want Canceled", err)
	}
	if first, second := <-seen, <-seen; first != nil || second != nil {
		t.Errorf("the sink's contexts had ended: %v, %v", first, second)
	}
}

type sinkFunc func(context.Context, audit.Line) error

func (f sinkFunc) Write(ctx context.Context, line audit.Line) error { return f(ctx, line) }

func TestReadsGoOnWhileTheAuditFailsAndAreCounted(t *testing.T) {
	sink := &kept{err: errors.New("no space left on device")}
	log := audit.NewLog(sink, audit.LogOptions{})
	for range 5 {
		log.Record(t.Context(), audit.Line{Event: audit.Call})
	}
	sink.fail(nil)
	log.Record(t.Context(), audit.Line{Event: audit.Call})
	if log.Dropped() != 5 {
		t.Errorf("dropped %d, want 5", log.Dropped())
	}
	if l := sink.all(); len(l) != 1 || l[0].Seq != 6 {
		t.Errorf("the line after the gap: %+v, want seq 6", l)
	}
}

func TestALongDetailIsCutBetweenCharacters(t *testing.T) {
	sink := &kept{}
	log := audit.NewLog(sink, audit.LogOptions{})
	for _, detail := range []string{strings.Repeat("ü", 4000), strings.Repeat("a", 1025), "x" + strings.Repeat("世", 900)} {
		log.Record(t.Context(), audit.Line{Detail: detail})
	}
	for _, l := range sink.all() {
		if len(l.Detail) > 1024 || len(l.Detail) < 1020 || !utf8.ValidString(l.Detail) || !strings.HasSuffix(l.Detail, "…") {
			t.Errorf("detail has %d bytes, ends with %q", len(l.Detail), l.Detail[len(l.Detail)-8:])
		}
	}
}

func TestWithoutASinkALogTakesEverything(t *testing.T) {
	log := audit.NewLog(nil, audit.LogOptions{})
	log.Record(t.Context(), audit.Line{Event: audit.Read})
	if err := log.Change(t.Context(), audit.Line{}, func(context.Context, *audit.Line) error { return nil }); err != nil {
		t.Error(err)
	}
	if log.Dropped() != 0 {
		t.Errorf("dropped %d, want 0", log.Dropped())
	}
}
