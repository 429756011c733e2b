// Package plugin finds plugin binaries, runs them as processes and keeps them running. It is the only code of the host that
// starts a process or knows go-plugin's client.
//
// A [Catalog] is a directory of binaries. [Catalog.Supervise] gives a [Process], which keeps one [Generation] running: one
// operating system process with one connection, never repaired, only replaced.
package plugin

import (
	"errors"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"log/slog"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/keyway-dev/keyway/sdk"
)

// What can be wrong with a plugin. Errors of this package are *sdk.Error values that hold one of these, for errors.Is.
var (
	ErrNotExecutable = errors.New("not an executable program")
	ErrExposed       = errors.New("others may write to it")          // a warning
	ErrNotPlugin     = errors.New("not a Keyway plugin")             // it does not describe itself, or not properly
	ErrIdentity      = errors.New("not what its file's name says")   // another provider or version
	ErrContract      = errors.New("another version of the contract") // of the handshake or of keyway.plugin.v1
	ErrEnded         = errors.New("its process ended")               // by itself, or killed by others
	ErrSlow          = errors.New("not ready in time")               // it hangs
	ErrAddress       = errors.New("not the address of this plugin")  // a socket elsewhere, or held by another process
	ErrStopped       = errors.New("stopped")                         // by Stop
	errLost          = errors.New("its connection was lost")         // while the process was running
	errBreach        = errors.New("it broke the rules of its dial socket")
	errDialedTwice   = errors.New("a generation is dialed only once") // what gRPC gets when it tries to reconnect
)

// Options configure a [Catalog].
type Options struct {
	Dir    string       // the directory of plugin binaries
	RunDir string       // where each process gets its private directory, at most 57 bytes long (53 on macOS); empty: the system's temporary directory
	Logger *slog.Logger // nil logs nothing
	// StartTimeout bounds one start, from fork to the first answer; zero: 10 s.
	StartTimeout time.Duration
	// Env holds the "NAME=value" entries that every plugin gets. Nothing else of the host's environment reaches one.
	Env []string
	// Lock is the lock file; empty: none. Unlocked says what becomes of a plugin that it does not list.
	Lock     string
	Unlocked Unlocked
	// Trust holds minisign public keys by provider: with any, one of them must have signed the provider's plugin.
	Trust map[string][]string
	// Sandbox is "strict", "best_effort" (as is "") or "off".
	Sandbox string
	// Allow widens what the plugin of a provider may do.
	Allow map[string]Allowance
	// Proxy holds the "NAME=value" entries of HTTP_PROXY, HTTPS_PROXY and NO_PROXY that the host's dials for plugins follow.
	Proxy []string
	// Events is told what happens to plugins: starts, ends, refusals. It must not block. Nil: nobody.
	Events func(Event)
}

// Unlocked is what becomes of a plugin that the lock file does not list.
type Unlocked string

// The policies; the zero value refuses with a lock file and says nothing without one.
const (
	RefuseUnlocked Unlocked = "refuse"
	WarnUnlocked   Unlocked = "warn"
)

// Allowance is what the operator lets one provider's plugin do beyond what its stores need.
type Allowance struct {
	Network string   // "direct": it opens sockets itself; else the host dials for it
	Read    []string // absolute paths it may read
	Execute []string // absolute paths it may execute: a script's interpreter and its libraries
	Memory  int64    // bytes it may allocate; 0: 256 MiB
}

// Cell says whose stores a process serves. Processes of different cells share neither memory, environment nor reach.
type Cell struct {
	Kind  CellKind
	Store string // of a Dedicated cell
}

// CellKind is the kind of a cell.
type CellKind string

// The kinds. A Team cell has no environment of the operator's, no files, no ambient identity and no private networks.
const (
	Shared    CellKind = "shared"
	Dedicated CellKind = "dedicated"
	Team      CellKind = "team"
)

// Event is something that happened to a plugin. It never holds a value.
type Event struct {
	Kind     string // "start", "ready", "exit", "replace", "refuse_dial", "refuse_start", "stop"
	Provider string
	Version  string
	Digest   string
	Cell     Cell
	PID      int
	Number   int    // the generation
	Detail   string // an endpoint, a reason
	Err      error
}

// Binary is one plugin file.
type Binary struct {
	Provider string
	Version  string // as the file's name says; empty where it says none
	Path     string // absolute, with symbolic links resolved

	constraint *semver.Constraints // what the plugin's own version must satisfy; nil: anything
}

// Catalog is a directory of plugin binaries and how to run them. It is immutable and safe for concurrent use; the
// directory is read anew at each call.
type Catalog struct {
	opts    Options
	stop    patience
	probing probing
	images  *image.Pool // of its processes
}

// patience is how long a stop waits between its steps: for the plugin to close its stores after its lifeline ended (the
// contract gives it 2 s), and for SIGTERM to work.
type patience struct{ lifeline, terminate time.Duration }

const (
	defaultStartTimeout = 10 * time.Second
	describeTimeout     = 10 * time.Second
	maxDescription      = 1 << 20 // bytes that --describe may print
)

// NewCatalog returns the catalog of opts.Dir. Nothing is read or started yet.
func NewCatalog(opts Options) *Catalog {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.StartTimeout <= 0 {
		opts.StartTimeout = defaultStartTimeout
	}
	opts.Env = append([]string(nil), opts.Env...)
	return &Catalog{images: new(image.Pool), opts: opts, probing: defaultProbing, stop: patience{lifeline: 2500 * time.Millisecond, terminate: 500 * time.Millisecond}}
}

// fault makes the error of one operation on one binary.
func fault(code sdk.Code, op string, b Binary, format string, args ...any) *sdk.Error {
	return sdk.Errorf(code, "%s plugin %q (%s): %w", op, b.Provider, b.Path, sdk.Errorf(code, format, args...))
}
