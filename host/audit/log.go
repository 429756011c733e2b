package audit

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// OnFailure says what becomes of a change that cannot be recorded.
type OnFailure string

// The rules. The zero value is RefuseChanges.
const (
	RefuseChanges OnFailure = "refuse_changes"
	Continue      OnFailure = "continue"
)

// LogOptions configure a [Log].
type LogOptions struct {
	Host      string // the name of this host in every line
	OnFailure OnFailure
}

// maxDetail bounds Line.Detail, in bytes: a plugin's or a backend's reason is part of it, and both may be long.
const maxDetail = 1 << 10

// Log writes lines to a sink, with their version, number, time and host. It is safe for concurrent use. The sink stays its
// owner's to close.
type Log struct {
	sink    Sink
	opts    LogOptions
	seq     atomic.Uint64
	refused atomic.Int64
}

// NewLog returns a log that writes to sink; nil is [Discard].
func NewLog(sink Sink, o LogOptions) *Log {
	if sink == nil {
		sink = Discard
	}
	return &Log{sink: sink, opts: o}
}

// Record writes a line that nothing depends on: a read, a call, what a plugin did. A line that cannot be written is counted.
func (l *Log) Record(ctx context.Context, line Line) {
	_ = l.write(ctx, line) // counted there; a read goes on without its line
}

// Change records line without a code, makes the change, and records it again with the outcome. When the first line cannot
// be written the change is not made, by the rule RefuseChanges: FailedPrecondition, or the context's own code when that
// ended. Otherwise the error is that of change, which may fill into the line what it learns: the version that it wrote, the
// plugin that wrote it. A change whose second line is lost has been made; its first one tells of it.
func (l *Log) Change(ctx context.Context, line Line, change func(context.Context, *Line) error) error {
	line.Event, line.Code = Change, ""
	if err := l.write(ctx, line); err != nil && l.opts.OnFailure != Continue {
		return refusal(ctx, line, err)
	}
	began := time.Now()
	err := change(ctx, &line)
	line.Code, line.TookUS = sdk.CodeOf(err).String(), time.Since(began).Microseconds()
	if err != nil && line.Detail == "" {
		line.Detail = err.Error()
	}
	// The outcome is told also when the caller left in the middle; the sink's own bounds end the write.
	_ = l.write(context.WithoutCancel(ctx), line)
	return err
}

func refusal(ctx context.Context, line Line, cause error) error {
	object := strings.TrimSpace(line.Op + " " + line.Store + line.Provider)
	if ctx.Err() != nil {
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "%s: the audit was not written in time, so nothing was changed: %w", object, ctx.Err())
	}
	return sdk.Errorf(sdk.FailedPrecondition, "%s: the audit cannot be written, so nothing was changed: %w; "+
		"make room for the audit or let it be written, or set audit.on_failure to continue", object, cause)
}

// Dropped is how many lines were lost since the log began. It only grows.
func (l *Log) Dropped() int64 {
	n := l.refused.Load()
	if s, ok := l.sink.(interface{ Lost() int64 }); ok {
		n += s.Lost()
	}
	return n
}

func (l *Log) write(ctx context.Context, line Line) error {
	line.V, line.Seq, line.Host = Version, l.seq.Add(1), l.opts.Host
	if line.Time.IsZero() {
		line.Time = time.Now()
	}
	line.Time = line.Time.UTC().Truncate(time.Microsecond)
	line.Detail = cut(line.Detail)
	err := l.sink.Write(ctx, line)
	if err != nil {
		l.refused.Add(1)
	}
	return err
}

// cut shortens a text to maxDetail bytes, between two characters.
func cut(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	end := maxDetail - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
