// Package audit records who read and who changed what. A record is one [Line], a JSON object of names, codes and times;
// it has no place for a value, nor for the hash of one.
//
// A [Sink] takes lines: [File] appends them to a file that it rotates, [Discard] drops them, and an embedding gateway may
// give its own. The host writes through a [Log], which numbers the lines, keeps the rule for changes that cannot be
// recorded, and counts what was lost. [WithOrigin] says who asks; [Reads] sums the reads of which nobody said it.
package audit

import (
	"context"
	"time"
)

// Version is the form of a line. It grows when a field changes its meaning, not when one is added.
const Version = 1

// Line is one record. Fields that say nothing are left out of its JSON. It never holds a value: names, versions and the
// names of changed fields are all that it says of a secret.
type Line struct {
	V     int       `json:"v"`    // [Version]; a Log fills it
	Time  time.Time `json:"time"` // a Log fills it where it is zero
	Seq   uint64    `json:"seq"`  // from 1, one more for each line of a Log: a gap is a line that was lost; a Log fills it
	Host  string    `json:"host"` // a Log fills it
	Event Event     `json:"event"`
	Actor Actor     `json:"actor"`
	Op    string    `json:"op,omitempty"` // "get", "put", "swap", "refuse_dial"

	Store         string `json:"store,omitempty"`
	Provider      string `json:"provider,omitempty"`
	PluginVersion string `json:"plugin_version,omitempty"`
	PluginDigest  string `json:"plugin_digest,omitempty"` // of the bytes that run: "sha256:…"

	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	// Code is the outcome in the words of sdk.Code, "ok" or "not found". It is empty in the line that goes before a change.
	Code      string   `json:"code,omitempty"`
	Source    Source   `json:"source,omitempty"`
	Count     int64    `json:"count,omitempty"`   // how many reads one line stands for
	TookUS    int64    `json:"took_us,omitempty"` // microseconds
	Changed   []string `json:"changed,omitempty"` // names of the fields or settings that a change touches
	RequestID string   `json:"request_id,omitempty"`
	TraceID   string   `json:"trace_id,omitempty"`
	// Detail is a reason or an endpoint, for people. What is beyond 1 KiB is cut by a Log.
	Detail string `json:"detail,omitempty"`
}

// Event is what kind of thing a line tells.
type Event string

// The events. Only a change makes its caller wait until it is on the disk.
const (
	Request Event = "request" // somebody asked over a socket or the command line
	Call    Event = "call"    // a secret manager was asked
	Read    Event = "read"    // a gateway that embeds the host read, Count times; nobody said for whom
	Change  Event = "change"  // something is about to be changed (no code) or was (with its code)
	Plugin  Event = "plugin"  // a plugin's process started, ended, was refused or was refused something
)

// Actor is who caused a line, as far as that is known.
type Actor struct {
	Who  string  `json:"who,omitempty"` // a name of the configuration or of the system
	Role string  `json:"role,omitempty"`
	Kind Kind    `json:"kind,omitempty"`
	UID  *uint32 `json:"uid,omitempty"` // nil where it is not known, since 0 is root
	PID  int     `json:"pid,omitempty"`
	Team string  `json:"team,omitempty"`
	Addr string  `json:"addr,omitempty"`
}

// Kind is how an actor came to the host.
type Kind string

// The kinds.
const (
	Embedded Kind = "embedded" // the process that embeds the host
	Command  Kind = "command"  // somebody's command line
	Socket   Kind = "socket"   // the other end of a Unix socket, by the kernel's word
	Network  Kind = "network"  // another connection; its address is all that is known
	Itself   Kind = "host"     // the host on its own: a refresh, a rollback
)

// Source is where a value that was read came from.
type Source string

// The sources.
const (
	Cache    Source = "cache"
	Stale    Source = "stale" // an older value, because the store gave no newer one
	Backend  Source = "backend"
	Snapshot Source = "snapshot"
)

// A Sink takes lines. Write is called by many goroutines at a time. For a [Change] it returns when the line is as safe as
// the sink can make it, and an error when it is not; for every other event it does not wait for a device. A line may be
// kept after Write has returned only as a copy of its text: Changed belongs to the caller.
type Sink interface {
	Write(ctx context.Context, line Line) error
}

// Discard takes every line and keeps none.
var Discard Sink = discard{}

type discard struct{}

func (discard) Write(context.Context, Line) error { return nil }
