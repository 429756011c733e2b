package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/keyway-dev/keyway/sdk"
)

// decode reads lines of hclog's form back as slogtest wants them.
func decode(t *testing.T, raw []byte) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range bytes.Lines(raw) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, m)
	}
	return out
}

func TestTheHandlerKeepsSlogsRules(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return newLogger(&b, slog.LevelInfo, "m").Handler()
	}, func(t *testing.T) map[string]any {
		m := decode(t, b.Bytes())[0]
		for ours, theirs := range map[string]string{"@message": slog.MessageKey, "@level": slog.LevelKey, "@timestamp": slog.TimeKey} {
			m[theirs] = m[ours]
			delete(m, ours)
		}
		if strings.HasSuffix(t.Name(), "zero-time") { // a line has a time in any case
			delete(m, slog.TimeKey)
		}
		return m
	})
}

func TestALineIsHclogs(t *testing.T) {
	var b bytes.Buffer
	log := newLogger(&b, levelTrace, "vault")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{1}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	log.With("store", "prod~1").WarnContext(ctx, "slow", "level", "mine", "@message", "mine too", "token", sdk.SensitiveString("canary"),
		slog.Group("call", "msg", "kept"))
	m := decode(t, b.Bytes())[0]
	want := map[string]any{"@level": "warn", "@message": "slow", "@module": "vault", "store": "prod~1", "plugin_level": "mine",
		"plugin_message": "mine too", "token": sdk.Redacted, "trace_id": "ab000000000000000000000000000000"}
	for k, v := range want {
		if m[k] != v {
			t.Errorf("%s is %v, want %v", k, m[k], v)
		}
	}
	if call, ok := m["call"].(map[string]any); !ok || call["msg"] != "kept" {
		t.Errorf("call is %v, want an object with msg kept", m["call"])
	}
	stamp, _ := m["@timestamp"].(string)
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Errorf("@timestamp: %v", err)
	}
}

func TestLevelsAreHclogsWords(t *testing.T) {
	for word, level := range map[string]slog.Level{"trace": levelTrace, "debug": slog.LevelDebug, "info": slog.LevelInfo, "WARN": slog.LevelWarn, "error": slog.LevelError} {
		if got := parseLevel(word); got != level || levelWord(level) != strings.ToLower(word) {
			t.Errorf("%s: level %v, word %q", word, got, levelWord(level))
		}
		var b bytes.Buffer
		newLogger(&b, level, "m").Log(context.Background(), level-1, "below")
		if b.Len() > 0 {
			t.Errorf("at %s a record below it is written: %s", word, &b)
		}
	}
	if parseLevel("loud") != slog.LevelInfo {
		t.Error("an unknown word is not info")
	}
}
