package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
)

// defaultWatch is how long a swap is watched.
const defaultWatch = 15 * time.Minute

// Swap asks for another version of one provider's plugin.
type Swap struct {
	Plugin    string        `json:"plugin"`              // the provider
	Version   string        `json:"version,omitempty"`   // a version in the plugin folder; empty where File is given
	File      string        `json:"file,omitempty"`      // a binary elsewhere, by its absolute path; needs Ephemeral
	Stores    []string      `json:"stores,omitempty"`    // those that change over; empty: all of the provider
	Watch     time.Duration `json:"watch,omitempty"`     // how long it may still be rolled back by itself; 0: 15 minutes, negative: not
	DryRun    bool          `json:"dry_run,omitempty"`   // everything up to the flip
	Ephemeral bool          `json:"ephemeral,omitempty"` // leave the lock file alone
}

// SwapStep is one step of a swap as it happens.
type SwapStep struct {
	Time time.Time `json:"time"`
	Step string    `json:"step"`           // verify, start, open, compare, lock, flip, watch, rollback, done, failed
	Text string    `json:"text"`           // for people, one line
	Code string    `json:"code,omitempty"` // of failed
}

// swaps are the swaps of a host: one at a time, and for each provider the trial of the last one.
type swaps struct {
	mu     sync.Mutex
	trials map[string]*trial // kept when they are over, to know how to go back
}

// Swap replaces the plugin that serves a provider's stores, without a failed call: the new one is verified, started, opened
// and logged in beside the one that serves, what was read lately is compared, and then each store goes over while its
// running calls finish where they began. It returns when the stores have gone over; for the time of Watch the former plugin
// stays warm, and the swap is rolled back by itself when the new one ends, faults, or fails at what the former one can do.
//
// Whatever is found before that refuses the swap, and nothing has changed: InvalidArgument (the request, settings that the
// new schema refuses), NotFound (no such plugin, version or store), FailedPrecondition (digest, signature, lock file,
// capability, endpoint, another answer, slower), Unavailable (it does not start), Aborted (another swap is running), or the
// error of a store that does not open or log in. progress is told each step and may be nil.
func (h *Host) Swap(ctx context.Context, s Swap, progress func(SwapStep)) error {
	if !h.swaps.mu.TryLock() {
		return sdk.Errorf(sdk.Aborted, "swap %s: another swap is running; wait for it", s.Plugin)
	}
	defer h.swaps.mu.Unlock()
	return h.administer(ctx, "swap", s.Plugin, s.Version+s.File, func(ctx context.Context) error { return h.swap(ctx, s, steps(progress)) })
}

// steps gives a function that tells a step.
func steps(progress func(SwapStep)) func(step, format string, args ...any) {
	return func(step, format string, args ...any) {
		if progress != nil {
			progress(SwapStep{Time: time.Now(), Step: step, Text: fmt.Sprintf(format, args...)})
		}
	}
}

// change is a swap under way.
type change struct {
	Swap
	host     *Host
	tell     func(step, format string, args ...any)
	binary   plugin.Binary
	digest   string           // of its bytes
	verified *plugin.Verified // held until its processes hold it, so that it is read once
	members  []*member
	news     map[plugin.Cell]*running
	prepared map[*member]*store.Candidate
}

func (h *Host) swap(ctx context.Context, s Swap, tell func(step, format string, args ...any)) error {
	c := &change{Swap: s, host: h, tell: tell, news: map[plugin.Cell]*running{}, prepared: map[*member]*store.Candidate{}}
	defer c.release()
	err := c.prepare(ctx)
	if err == nil && !s.DryRun {
		err = c.lock()
	}
	if err != nil || s.DryRun {
		c.discard()
		if err != nil {
			return sdk.Errorf(sdk.CodeOf(err), "swap %s: %w", s.Plugin, err)
		}
		tell("done", "dry run: nothing has changed")
		return nil
	}
	c.flip()
	return nil
}

// release lets go of the candidate's bytes, which its processes hold by now.
func (c *change) release() {
	if c.verified != nil {
		c.verified.Close()
	}
}

// prepare does everything that can be refused.
func (c *change) prepare(ctx context.Context) error {
	if err := c.choose(); err != nil {
		return err
	}
	if err := c.verify(ctx); err != nil {
		return err
	}
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := c.needed(); err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	return c.compare(ctx)
}

// needed refuses a swap to what serves all the stores already.
func (c *change) needed() error {
	for _, m := range c.members {
		if _, running := m.plugin.Load().process.Identity(); running != c.digest {
			return nil
		}
	}
	return sdk.Errorf(sdk.FailedPrecondition, "these bytes serve %s already; there is nothing to swap", strings.Join(namesOf(c.members), ", "))
}

// choose finds the stores and the binary.
func (c *change) choose() error {
	switch {
	case (c.Version == "") == (c.File == ""):
		return sdk.Errorf(sdk.InvalidArgument, "name a version of the plugin folder, or a file")
	case c.File != "" && !c.Ephemeral:
		return sdk.Errorf(sdk.InvalidArgument, "a file outside the plugin folder would be lost with the next start; install it first (keyway plugin install %s), or ask for an ephemeral swap", c.File)
	case c.File != "" && !filepath.IsAbs(c.File):
		return sdk.Errorf(sdk.InvalidArgument, "the file %q must be an absolute path", c.File)
	}
	if err := c.chooseStores(); err != nil {
		return err
	}
	if c.File != "" {
		c.binary = plugin.Binary{Provider: c.Plugin, Path: c.File}
		return nil
	}
	b, err := c.host.fleet.catalog.Exactly(c.Plugin, c.Version)
	c.binary = b
	return err
}

func (c *change) chooseStores() error {
	all := c.host.stores()
	var serving []string
	for name, m := range all {
		if m.cfg.Provider == c.Plugin {
			serving = append(serving, name)
		}
	}
	slices.Sort(serving)
	if len(serving) == 0 {
		return sdk.Errorf(sdk.NotFound, "no store of the configuration has this provider")
	}
	wanted := c.Stores
	if len(wanted) == 0 {
		wanted = serving
	}
	for _, name := range wanted {
		if !slices.Contains(serving, name) {
			return sdk.Errorf(sdk.NotFound, "store %q is not one of %s, whose stores are %s", name, c.Plugin, strings.Join(serving, ", "))
		}
		m := all[name]
		if m.plugin.Load().process == nil {
			return sdk.Errorf(sdk.FailedPrecondition, "store %s is served by a connection of the embedder's, which has no process", name)
		}
		if !slices.Contains(c.members, m) {
			c.members = append(c.members, m)
		}
	}
	return nil
}

// verify holds the bytes of the candidate against lock file and signatures.
func (c *change) verify(ctx context.Context) error {
	v, err := c.host.fleet.catalog.Verify(image.Beside(ctx), c.binary)
	if err != nil {
		return err
	}
	c.verified = v
	signed := "not signed"
	if v.Signer != "" {
		signed = "signed by " + v.Signer
	}
	listed := "not in the lock file"
	if v.Locked != nil {
		listed = "as the lock file says"
	}
	c.tell("verify", "%s %s, %s, %s", strings.TrimSpace(c.Plugin+" "+c.binary.Version), v.Image.Digest(), listed, signed)
	c.digest = v.Image.Digest().String()
	return nil
}

// start starts the candidate, a process for each cell of the stores.
func (c *change) start(ctx context.Context) error {
	for _, m := range c.members {
		cell := cellOf(m.name, m.cfg)
		if c.news[cell] != nil {
			continue
		}
		r := &running{provider: c.Plugin, cell: cell, process: c.host.fleet.catalog.Supervise(c.binary, cell)}
		c.news[cell] = r
		begun := time.Now()
		if err := r.introduce(ctx); err != nil {
			return err
		}
		s := r.process.Status()
		c.tell("start", "%s %s, process %d, ready in %v", c.Plugin, r.manifest.Version, s.PID, time.Since(begun).Round(time.Millisecond))
	}
	var problems []config.Problem
	for _, m := range c.members {
		next := c.news[cellOf(m.name, m.cfg)]
		problems = append(problems, c.host.current.Load().CheckSettings(m.name, next.schema)...)
	}
	return config.NewError(problems...)
}

// open opens the stores that are in use on the candidate, side by side.
func (c *change) open(ctx context.Context) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed []error
	opened := 0
	for _, m := range c.members {
		wg.Go(func() {
			p, err := m.store.Prepare(ctx, c.news[cellOf(m.name, m.cfg)])
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return
			}
			c.prepared[m] = p
			if p.Opened() {
				opened++
			}
		})
	}
	wg.Wait()
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	c.tell("open", "%d of %d stores logged in beside the present plugin; the others were idle and open on their next use", opened, len(c.members))
	return nil
}

func (c *change) compare(ctx context.Context) error {
	same := 0
	for _, m := range c.members {
		if p := c.prepared[m]; p.Opened() {
			n, err := m.compare(ctx, p)
			if err != nil {
				return err
			}
			same += n
		}
	}
	c.tell("compare", "%d recently read secrets are the same", same)
	return nil
}

// discard ends a candidate that was refused.
func (c *change) discard() {
	var closed []<-chan struct{}
	for _, p := range c.prepared {
		closed = append(closed, p.Discard())
	}
	for _, r := range c.news {
		c.host.spawn(func(ctx context.Context) {
			awaitAll(ctx, closed)
			ctx, cancel := context.WithTimeout(ctx, stopBound)
			defer cancel()
			_ = r.process.Stop(ctx)
		})
	}
}

// awaitAll waits until every channel is closed, or ctx has ended.
func awaitAll(ctx context.Context, all []<-chan struct{}) {
	for _, c := range all {
		select {
		case <-c:
		case <-ctx.Done():
			return
		}
	}
}

// stopBound bounds the end of a plugin that serves nothing.
const stopBound = 5 * time.Second

// version is the candidate's own word, which start has held against its file's name.
func (c *change) version() string {
	return c.news[cellOf(c.members[0].name, c.members[0].cfg)].manifest.Version
}

// flip moves the stores over. It cannot fail.
func (c *change) flip() {
	h := c.host
	h.end(c.Plugin)
	t := &trial{host: h, swap: c.Swap, plugin: c.Plugin, members: map[*member]*store.Former{}, olds: map[*member]*running{},
		suspects: make(chan suspect, 64), verdict: make(chan string, 1), accept: make(chan struct{}), done: make(chan struct{})}
	for _, m := range c.members {
		old := m.plugin.Load()
		old.kept.Add(1)
		t.olds[m], t.from = old, old.manifest.Version
		m.plugin.Store(c.news[cellOf(m.name, m.cfg)])
		t.members[m] = c.prepared[m].Flip()
	}
	for _, r := range c.news { // they serve by now, so nobody takes them for idle
		h.fleet.adopt(r)
		t.news = append(t.news, r)
		t.to = r.manifest.Version
	}
	h.log.Info("plugin swapped", "plugin", c.Plugin, "version", t.to, "former", t.from, "stores", len(t.members))
	c.tell("flip", "%s -> %s", strings.Join(namesOf(c.members), ", "), t.to)
	watch := c.Watch
	if watch == 0 {
		watch = defaultWatch
	}
	h.swaps.trials[c.Plugin] = t // kept when it is over: it knows the way back
	if watch < 0 {
		close(t.done)
		t.settle()
		c.tell("done", "%s runs %s", c.Plugin, t.to)
		return
	}
	t.until = time.Now().Add(watch)
	for m := range t.members {
		m.trial.Store(t)
	}
	if !h.spawn(t.run) {
		close(t.done)
	}
	c.tell("watch", "until %s (%v); rolls back by itself", t.until.Format(time.TimeOnly), watch)
	c.tell("done", "%s runs %s", c.Plugin, t.to)
}

func namesOf(members []*member) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = m.name
	}
	slices.Sort(out)
	return out
}

// end accepts the trial of a provider, if there is one.
func (h *Host) end(provider string) {
	t := h.swaps.trials[provider]
	if t == nil {
		return
	}
	delete(h.swaps.trials, provider)
	select {
	case t.accept <- struct{}{}:
		<-t.done
	case <-t.done:
	case <-h.ctx.Done():
	}
}
