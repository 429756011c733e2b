// Package store keeps the configured stores open in their providers' plugins and runs calls on them.
//
// The host alone opens and closes. Every opening has a fresh handle; a call pins the opening it uses; new settings, new
// credentials and a new process are all the same step: open beside, flip, close the old when its last call is gone.
package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyway-dev/keyway/host/internal/slot"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

const (
	// DefaultTimeout bounds one call where neither the caller nor the configuration does; a plugin does the same.
	DefaultTimeout = 30 * time.Second
	// openTimeout bounds one opening, the start of the plugin's process and the store's credentials included.
	openTimeout = 15 * time.Second
	// openMemory is how long a failed opening answers in place of another try, so that a storm of callers makes one.
	openMemory = time.Second
	// drainTimeout bounds the wait for the last call on an opening that was replaced, closeTimeout the closing itself.
	drainTimeout = time.Minute
	closeTimeout = 5 * time.Second
)

// Session is the connection to one running process of a plugin.
type Session interface {
	Dial() *dial.Plugin
	Number() int                 // the generation
	Done() <-chan struct{}       // closed when the process has ended
	Superseded() <-chan struct{} // closed when another process has taken its place, while this one still runs
	// Admit lets a store that has just opened touch what it reaches. again says that a process which may do that has been
	// started, and that the store must be opened there.
	Admit(ctx context.Context, handle string, reach *sdk.Reach) (again bool, err error)
	// Dismiss undoes Admit, once the opening is closed.
	Dismiss(handle string)
}

// Provider gives the current session of one plugin; it waits for one that is starting.
type Provider interface {
	Current(ctx context.Context) (Session, error)
}

// Spec is one store as it is configured.
type Spec struct {
	Name     string
	Provider Provider
	// Settings gives the settings with their references resolved: the JSON that Open takes.
	Settings func(ctx context.Context) (sdk.Sensitive, error)
	// Allow masks what the store may be used for, whatever its provider can do.
	Allow  sdk.Capabilities
	Limits Limits
	Logger *slog.Logger
	// Changed is told what a store that can watch reports; nil for none.
	Changed func(sdk.Event)
	// Observe is told of every call once it has ended; nil for nobody. It must not block.
	Observe func(Observation)
}

// Observation is one call on a store and how it ended.
type Observation struct {
	Op       string
	Name     string // of the secret or key, where the call has one
	Version  string // that was asked for, or written
	Provider Provider
	Err      error
	Took     time.Duration
}

// Limits bound the calls on one store. Zero values mean no limit, and DefaultTimeout.
type Limits struct {
	Rate        float64 // calls a second
	Burst       int
	Concurrency int
	Timeout     time.Duration
}

// Store is one configured store. All methods are safe for concurrent use.
type Store struct {
	spec    Spec
	table   *Table
	bucket  *rate.Limiter // nil: none
	places  chan struct{} // one element per running call; nil: no limit
	current slot.Slot[*opening]
	used    atomic.Int64 // unix nanoseconds of the last call
	health  health

	mu       sync.Mutex
	provider Provider // who opens it from now on
	flight   *openFlight
	openings int
	renewal  *renewal // the last one
}

// opening is one handle in one process.
type opening struct {
	handle   *dial.Store
	session  Session
	provider Provider
	can      sdk.Capabilities // as the provider answered
	digest   [32]byte         // of the settings it was opened with
	ctx      context.Context  // ends when the opening is replaced; watches hang on it
	end      context.CancelFunc
	opened   time.Time
}

func (o *opening) alive() bool {
	select {
	case <-o.session.Done():
		return false
	default:
		return true
	}
}

type openFlight struct {
	done chan struct{}
	err  error
	at   time.Time // when it ended
}

func newStore(t *Table, spec Spec) *Store {
	s := &Store{spec: spec, table: t, provider: spec.Provider}
	if l := spec.Limits; l.Rate > 0 {
		s.bucket = rate.NewLimiter(rate.Limit(l.Rate), max(l.Burst, 1))
	}
	if n := spec.Limits.Concurrency; n > 0 {
		s.places = make(chan struct{}, n)
	}
	return s
}

// acquire pins the current opening, opening the store if need be.
func (s *Store) acquire(ctx context.Context) (slot.Held[*opening], error) {
	for {
		if h, ok := s.current.Acquire(); ok {
			if h.Value().alive() {
				s.used.Store(time.Now().UnixNano())
				return h, nil
			}
			s.discard(h)
			h.Release()
		}
		if err := s.open(ctx, false); err != nil {
			return slot.Held[*opening]{}, err
		}
	}
}

// discard takes an opening out of use that its plugin no longer knows.
func (s *Store) discard(h slot.Held[*opening]) {
	if old, ok := s.current.Remove(h); ok {
		s.table.retire(s, old)
	}
}

// Reopen opens the store with its settings resolved anew, flips to it, and closes the old opening after its calls. When
// it fails the old one stays.
func (s *Store) Reopen(ctx context.Context) error { return s.open(ctx, true) }

// Renew is Reopen if the settings are not those that the store is open with, and tells whether they were. A change of
// several references at once may be told for each.
func (s *Store) Renew(ctx context.Context) (changed bool, err error) {
	if h, ok := s.current.Acquire(); ok {
		digest := h.Value().digest
		h.Release()
		settings, err := s.spec.Settings(ctx)
		if err != nil || digestOf(settings) == digest {
			return false, err
		}
	}
	return true, s.Reopen(ctx)
}

// open joins the opening that is under way or begins one. It runs on its own: a caller that leaves takes nothing along.
func (s *Store) open(ctx context.Context, again bool) error {
	s.mu.Lock()
	f := s.flight
	if f != nil && !again && isDone(f.done) && f.err != nil && time.Since(f.at) < openMemory {
		s.mu.Unlock()
		return f.err
	}
	if f == nil || isDone(f.done) {
		if !again && s.current.Filled() {
			s.mu.Unlock()
			return nil
		}
		f = &openFlight{done: make(chan struct{})}
		s.flight = f
		if !s.table.spawn(func(ctx context.Context) { s.runOpen(ctx, f) }) {
			f.err, f.at = errClosed(s.spec.Name), time.Now()
			close(f.done)
		}
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return sdk.Errorf(sdk.CodeOf(ctx.Err()), "waiting for the store to open: %w", ctx.Err())
	}
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func errClosed(store string) error {
	return sdk.Errorf(sdk.Unavailable, "store %s: the host is closed", store)
}

// runOpen opens the store with its provider. When that changed meanwhile, it opens once more, with the new one.
func (s *Store) runOpen(ctx context.Context, f *openFlight) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var err error
	for done := false; !done; {
		var o *opening
		if o, err = s.openOn(ctx, s.served()); err != nil {
			break
		}
		if done = s.install(o, o.provider); !done {
			s.table.retire(s, unused(o))
		}
	}
	s.mu.Lock()
	f.err, f.at = err, time.Now()
	s.mu.Unlock()
	close(f.done)
}

// served gives who opens the store.
func (s *Store) served() Provider {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.provider
}

// install makes an opening current, unless the store's provider is not of any more. What was current is closed.
func (s *Store) install(o *opening, of Provider) bool {
	s.mu.Lock()
	if s.provider != of {
		s.mu.Unlock()
		return false
	}
	old, ok := s.current.Swap(o)
	s.mu.Unlock()
	if ok {
		s.table.retire(s, old)
	}
	s.begun(o)
	return true
}

// begun starts what goes along with a current opening.
func (s *Store) begun(o *opening) {
	s.table.opened(s)
	s.watch(o)
	s.follow(o)
}

// follow opens the store anew when another process takes the place of the opening's.
func (s *Store) follow(o *opening) {
	superseded := o.session.Superseded()
	if superseded == nil {
		return
	}
	s.table.spawn(func(ctx context.Context) {
		select {
		case <-superseded:
		case <-o.session.Done():
			return
		case <-o.ctx.Done():
			return
		}
		if err := s.Reopen(ctx); err != nil && ctx.Err() == nil {
			s.spec.Logger.Warn("the store did not open on the new process; it is tried again on its next use", "store", s.spec.Name,
				"code", sdk.CodeOf(err).String(), "error", err)
		}
	})
}

// openOn opens the store beside whatever is current.
func (s *Store) openOn(ctx context.Context, p Provider) (*opening, error) {
	settings, err := s.spec.Settings(ctx)
	if err != nil {
		return nil, err
	}
	for died, wider := 0, 0; ; {
		session, err := p.Current(ctx)
		if err != nil {
			return nil, err
		}
		handle := s.newHandle()
		h, err := session.Dial().Open(ctx, handle, settings.Reveal())
		if err != nil && dial.IsTransport(err) && died == 0 && waitGone(ctx, session) {
			died++
			continue // the process died under it; the next one is on its way
		}
		if err != nil {
			return nil, err
		}
		again, err := session.Admit(ctx, handle, h.Reach())
		if err == nil && !again {
			o := &opening{handle: h, session: session, provider: p, can: h.Can(), digest: digestOf(settings), opened: time.Now()}
			o.ctx, o.end = context.WithCancel(s.table.ctx)
			s.spec.Logger.Debug("store opened", "store", s.spec.Name, "generation", session.Number(), "can", o.can.String())
			return o, nil
		}
		s.abandon(ctx, h)
		session.Dismiss(handle)
		if err != nil {
			return nil, err
		}
		if wider++; wider > maxWider {
			return nil, sdk.Errorf(sdk.Internal, "store %s: every opening reaches further than the one before", s.spec.Name)
		}
	}
}

// maxWider is how often an opening may ask for a process that may do more.
const maxWider = 8

func (s *Store) newHandle() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openings++
	return fmt.Sprintf("%s~%d", s.spec.Name, s.openings)
}

// abandon closes a handle that nobody has used.
func (s *Store) abandon(ctx context.Context, h *dial.Store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = h.Close(ctx) // it holds nothing but memory, and the process may be gone
}

// Can tells what the store can be used for, opening it if need be.
func (s *Store) Can(ctx context.Context) (sdk.Capabilities, error) {
	h, err := s.acquire(ctx)
	if err != nil {
		return 0, s.annotate(err)
	}
	defer h.Release()
	return h.Value().can & s.spec.Allow, nil
}

// Reach tells what the store's settings let it touch; nil where its provider does not tell. It asks no backend.
func (s *Store) Reach(ctx context.Context) (*sdk.Reach, error) {
	h, err := s.acquire(ctx)
	if err != nil {
		return nil, s.annotate(err)
	}
	defer h.Release()
	return h.Value().handle.Reach(), nil
}

// Status is what an operator sees of a store.
type Status struct {
	Name       string
	Open       bool
	Generation int // of the plugin's process; 0 when it is not open
	Can        sdk.Capabilities
	Opened     time.Time
	Down       error // why the backend is taken for unreachable; nil when it is not
}

// Status tells the present state without waiting for anything.
func (s *Store) Status() Status {
	st := Status{Name: s.spec.Name, Down: s.health.reason()}
	if h, ok := s.current.Acquire(); ok {
		defer h.Release()
		o := h.Value()
		st.Open, st.Generation, st.Can, st.Opened = o.alive(), o.session.Number(), o.can&s.spec.Allow, o.opened
	}
	return st
}
