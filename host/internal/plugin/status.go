package plugin

import (
	"errors"
	"slices"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// State is what a supervised plugin is doing.
type State string

// The states. Idle has not been asked for yet; Stopped was stopped for good.
const (
	Idle     State = "idle"
	Starting State = "starting"
	Ready    State = "ready"
	Backoff  State = "backoff" // it failed, and is started again after a pause
	Failed   State = "failed"  // it failed again and again, and is tried every half minute
	Stopping State = "stopping"
	Stopped  State = "stopped"
)

// Status tells how a supervised plugin is.
type Status struct {
	Provider   string
	Version    string // of the running generation, else as the file's name says
	Path       string
	State      State
	Since      time.Time // when State began
	PID        int       // 0 unless Ready
	Generation int       // of the running or last generation; 0 before the first
	Restarts   int       // starts after the first one
	RetryAt    time.Time // when Backoff ends, or a failed plugin is tried
	LastError  error     // why the last start failed or the last generation ended; kept after a recovery
	StderrTail []string  // the last lines that the running or last generation printed
	Digest     string    // of the bytes that run; empty before they were verified
	Image      string    // how they are executed
	Signer     string    // the key that signed them; empty: nobody needed to
	Cell       Cell
	Network    string   // brokered or direct
	Layers     []string // that confine the running generation
	Missing    []string // that this system lacks, each with its reason
	Dials      int64    // connections that the host made for it
	Refused    int64    // and those it refused
	History    []Ended  // how its last generations ended, newest last
	Draining   int      // superseded generations that still finish calls
}

// Ended tells of the end of a generation, or of a start that failed.
type Ended struct {
	Generation int
	At         time.Time
	Lived      time.Duration // from its being ready; 0 when it never was
	Reason     string
}

// remembered is how many ends the history holds.
const remembered = 8

// Status tells how the plugin is.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.History = slices.Clone(s.History)
	if p.tail != nil {
		s.StderrTail = p.tail.Lines()
	}
	if v := p.verified; v != nil {
		s.Digest, s.Image, s.Signer = v.Image.Digest().String(), string(v.Image.Kind()), v.Signer
	}
	s.Network = p.network()
	if p.broker != nil {
		s.Dials, s.Refused = p.broker.Counts()
	}
	if g := p.now.Load(); g != nil {
		s.Layers, s.Missing = g.layers, g.missing
	}
	return s
}

// notStarted keeps why a start failed.
func (p *Process) notStarted(number int, err error) {
	kind := "exit"
	if sdk.CodeOf(err) == sdk.FailedPrecondition {
		kind = "refuse_start"
	}
	p.mu.Lock()
	p.fails++
	p.keep(Ended{Generation: number, At: time.Now(), Reason: err.Error()})
	p.mu.Unlock()
	p.tell(kind, 0, number, err)
}

// tell tells whoever wants to know of an event.
func (p *Process) tell(kind string, pid, number int, err error) {
	e := Event{Kind: kind, Provider: p.binary.Provider, Cell: p.cell, PID: pid, Number: number, Err: err}
	s := p.Status()
	e.Version, e.Digest = s.Version, s.Digest
	p.catalog.event(e)
}

// widened tells of a process that took another's place, with what it may touch beyond that: a plugin's own word has opened it.
func (p *Process) widened(g *Generation, by need) {
	s := p.Status()
	p.catalog.event(Event{Kind: "replace", Provider: p.binary.Provider, Version: s.Version, Digest: s.Digest, Cell: p.cell, PID: g.PID(), Number: g.number,
		Detail: by.String()})
}

func (p *Process) count(draining int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Draining += draining
}

// record keeps how a generation ended.
func (p *Process) record(g *Generation, ready time.Time) {
	e := Ended{g.number, time.Now(), time.Since(ready), g.why()}
	p.mu.Lock()
	p.keep(e)
	p.mu.Unlock()
	p.tell("exit", g.PID(), g.number, errors.New(e.Reason))
}

// keep adds to the history. p.mu is held.
func (p *Process) keep(e Ended) {
	if len(p.status.History) == remembered {
		p.status.History = slices.Delete(p.status.History, 0, 1)
	}
	p.status.History = append(p.status.History, e)
}

// update changes the status and wakes whoever waits for that.
func (p *Process) update(to State, change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
	if to != Ready && to != Stopping {
		p.status.PID = 0
	}
	p.set(to)
}

// set enters a state. p.mu is held.
func (p *Process) set(to State) {
	if p.status.State != to {
		p.status.State, p.status.Since = to, time.Now()
	}
	close(p.changed)
	p.changed = make(chan struct{})
}
