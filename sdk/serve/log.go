package serve

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// levelVariable names the environment variable in which a host tells how much to log: trace, debug, info, warn or error.
const levelVariable = "KEYWAY_LOG_LEVEL"

const levelTrace = slog.LevelDebug - 4

// parseLevel reads a level; a word it does not know is info.
func parseLevel(word string) slog.Level {
	switch strings.ToLower(word) {
	case "trace":
		return levelTrace
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

func levelWord(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "trace"
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

// newLogger writes one JSON object a line in hclog's form, which is what a host reads from a plugin's stderr: @level,
// @message, @timestamp and @module, then the record's own keys; groups are objects. The trace of the call is its trace_id.
func newLogger(w io.Writer, level slog.Level, module string) *slog.Logger {
	json := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hclogKeys})
	return slog.New(&handler{next: json.WithAttrs([]slog.Attr{slog.String("@module", module)})})
}

// hclogKeys renames what slog itself writes. Attributes of a record never have those keys here: handler renamed them.
func hclogKeys(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
	case slog.LevelKey:
		if l, ok := a.Value.Any().(slog.Level); ok {
			return slog.String("@level", levelWord(l))
		}
	case slog.MessageKey:
		a.Key = "@message"
	}
	return a
}

// handler adds the trace, and keeps the top-level keys of a record apart from those of the line itself.
type handler struct {
	next    slog.Handler
	grouped bool // keys are inside an object of their own
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now() // slog leaves a zero time out, and a line needs one
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.rename(a)...)
		return true
	})
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		out.AddAttrs(slog.String("trace_id", sc.TraceID().String()))
	}
	return h.next.Handle(ctx, out)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var renamed []slog.Attr
	for _, a := range attrs {
		renamed = append(renamed, h.rename(a)...)
	}
	return &handler{h.next.WithAttrs(renamed), h.grouped}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{h.next.WithGroup(h.key(name)), true}
}

// rename gives an attribute a key of its own. A group without a name stands for its members.
func (h *handler) rename(a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Key == "" && a.Value.Kind() == slog.KindGroup {
		var out []slog.Attr
		for _, m := range a.Value.Group() {
			out = append(out, h.rename(m)...)
		}
		return out
	}
	a.Key = h.key(a.Key)
	return []slog.Attr{a}
}

func (h *handler) key(k string) string {
	switch {
	case h.grouped:
		return k
	case k == slog.TimeKey, k == slog.LevelKey, k == slog.MessageKey, k == slog.SourceKey, strings.HasPrefix(k, "@"):
		return "plugin_" + strings.TrimLeft(k, "@")
	}
	return k
}
