package output

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"golang.org/x/time/rate"
)

// A process's log is bounded, so that one that floods cannot flood the host's log: linesPerSecond on average, burst at
// once, maxFields of a record. What is left out is counted.
const (
	linesPerSecond = 200
	burst          = 1000
	maxFields      = 32
)

// Log turns the lines of one stream of a process into records. It is for one goroutine.
type Log struct {
	to      *slog.Logger
	tail    *Tail
	limit   *rate.Limiter
	skipped int
}

// NewLog returns a log that writes to the logger and keeps the last lines in tail.
func NewLog(to *slog.Logger, tail *Tail) *Log {
	return &Log{to: to, tail: tail, limit: rate.NewLimiter(linesPerSecond, burst)}
}

// Line takes one line: a JSON object of hclog's form becomes a record with its level and fields, anything else a record
// at info level. dropped is how many bytes of the line were not kept.
func (l *Log) Line(line string, dropped int) {
	r := parse(line)
	l.tail.Add(r.text())
	if strings.TrimSpace(line) == "" {
		return
	}
	if !l.limit.Allow() {
		l.skipped++
		return
	}
	l.note()
	attrs := r.attrs
	if dropped > 0 {
		attrs = append(attrs, slog.Int("dropped_bytes", dropped))
	}
	l.to.LogAttrs(context.Background(), r.level, r.message, attrs...) //nolint:sloglint // the message is the plugin's
}

// Close tells of lines that were left out.
func (l *Log) Close() { l.note() }

func (l *Log) note() {
	if l.skipped > 0 {
		l.to.Warn("plugin logs too much; lines were left out", "lines", l.skipped)
		l.skipped = 0
	}
}

type record struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// levels are hclog's words.
var levels = map[string]slog.Level{"trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn": slog.LevelWarn, "error": slog.LevelError}

// parse reads one line of a log.
func parse(line string) record {
	plain := record{level: slog.LevelInfo, message: line}
	if !strings.HasPrefix(line, "{") {
		return plain
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(line)))
	d.UseNumber()
	if d.Decode(&fields) != nil {
		return plain
	}
	message, ok := fields["@message"].(string)
	if !ok {
		return plain
	}
	r := record{message: message}
	word, _ := fields["@level"].(string)
	if r.level, ok = levels[strings.ToLower(word)]; !ok {
		r.level = slog.LevelInfo
	}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if k == "@message" || k == "@level" || k == "@timestamp" {
			continue
		}
		if len(r.attrs) == maxFields {
			break
		}
		r.attrs = append(r.attrs, slog.Any(fieldName(k), fields[k]))
	}
	return r
}

// fieldName keeps a plugin's field apart from the host's own of the same name.
func fieldName(k string) string {
	switch k {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin", "generation", "stream", "dropped_bytes":
		return "plugin_" + k
	}
	return strings.TrimPrefix(k, "@")
}

// text is the record for a person, in one line.
func (r record) text() string {
	var b strings.Builder
	if r.level >= slog.LevelWarn {
		b.WriteString(strings.ToLower(r.level.String()) + ": ")
	}
	b.WriteString(r.message)
	for _, a := range r.attrs {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
	}
	return b.String()
}
