package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/keyway-dev/keyway/host/internal/plugin/child"
	"github.com/keyway-dev/keyway/host/internal/plugin/folder"
	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// Generation is one running process of a plugin with its one connection. It is never repaired: what loses its process or its
// connection is replaced. It is safe for concurrent use.
type Generation struct {
	binary       Binary
	number       int
	startTimeout time.Duration
	log          *slog.Logger
	tail         *output.Tail
	dir          *folder.Folder // private; removed once connected
	run          *runner
	conns        conns
	client       *goplugin.Client

	verified *Verified
	process  *Process // whose generation it is
	need     need     // what it was started to touch
	layers   []string // that confine it
	missing  []string // that this system lacks
	undial   func()   // ends its dial socket

	plugin   *dial.Plugin
	manifest sdk.Manifest
	unwatch  context.CancelFunc
	gone     chan struct{} // closed when the connection is lost or the process has ended
	watchers sync.WaitGroup

	answers atomic.Int64  // calls it has answered
	late    chan struct{} // a call met its deadline

	mu         sync.Mutex
	holders    map[string]bool // open handles
	leaving    bool            // superseded
	superseded chan struct{}
	vacated    chan struct{} // closed when it is superseded and has no holder
}

// Dial gives the connection to the plugin.
func (g *Generation) Dial() *dial.Plugin { return g.plugin }

// Number counts the generations of a Process, from 1.
func (g *Generation) Number() int { return g.number }

// PID is the number of the generation's process.
func (g *Generation) PID() int { return g.run.process().PID() }

// Manifest is what the plugin said of itself when it started.
func (g *Generation) Manifest() sdk.Manifest { return g.manifest }

// Done is closed when the generation's process has ended.
func (g *Generation) Done() <-chan struct{} { return g.run.process().Done() }

// start starts a process and waits until it has answered its first call. It never takes longer than the start timeout
// and the time to kill a process. The errors hold what is known: ErrNotExecutable, ErrEnded, ErrSlow, ErrContract,
// ErrIdentity or ErrAddress, as Unavailable with the last lines that the process printed, or FailedPrecondition with
// ErrEscalation, or because the system cannot confine it as the operator demands.
func (c *Catalog) start(ctx context.Context, o order) (*Generation, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.StartTimeout)
	defer cancel()
	b := o.verified.Binary
	dir, err := privateDir(c.opts.RunDir)
	if err != nil {
		return nil, fault(sdk.Unavailable, "start", b, "%w", err)
	}
	g := &Generation{binary: b, number: o.number, startTimeout: c.opts.StartTimeout, dir: dir, tail: o.tail, verified: o.verified, need: o.need,
		undial: func() {}, late: make(chan struct{}, 1), holders: map[string]bool{}, superseded: make(chan struct{}), vacated: make(chan struct{})}
	g.log = c.opts.Logger.With("plugin", b.Provider, "generation", o.number)
	g.run = newRunner(b, g.log, g.tail)
	g.conns = conns{run: g.run, all: map[*grpc.ClientConn]struct{}{}}
	g.client = g.newClient(c.environment(o))
	if err := g.confine(c, o); err != nil {
		return nil, g.abandon(ctx, err)
	}
	defer g.run.profile.Close()
	conn, err := g.connect(ctx)
	if err == nil {
		err = g.introduce(ctx, conn)
	}
	if err == nil {
		err = o.verified.Permit(g.manifest, c.allowance(b.Provider))
	}
	if err != nil {
		return nil, g.abandon(ctx, err)
	}
	_ = dir.Remove() // connected: nobody needs to find the socket any more
	g.watch(conn, c.probing)
	return g, nil
}

// environment is what the operator gives a process. A team's has nothing of the operator's.
func (c *Catalog) environment(o order) []string {
	env := []string{fmt.Sprintf("GOMEMLIMIT=%d", c.allowance(o.verified.Binary.Provider).Memory*9/10)}
	if o.cell.Kind == Team {
		return env
	}
	return append(env, c.opts.Env...)
}

// confine prepares what the process is confined by, and its dial socket.
func (g *Generation) confine(c *Catalog, o order) error {
	profile, err := c.profile(o, g.dir.Path())
	if err != nil {
		return err
	}
	g.run.image, g.run.profile = o.verified.Image, profile
	g.layers, g.missing = profile.Layers(), profile.Missing()
	if o.broker == nil {
		return nil
	}
	end, stop, err := o.broker.Connect(g.breach)
	if errors.Is(err, errors.ErrUnsupported) {
		g.missing = append(g.missing, "brokered network: this system cannot hand over sockets; the plugin dials by itself")
		return nil
	}
	if err != nil {
		profile.Close()
		return err
	}
	g.run.dial, g.undial = end, stop
	return nil
}

// breach ends a process that broke the rules of its dial socket, since it can dial no more; the next one can.
func (g *Generation) breach(err error) {
	err = fmt.Errorf("%w: %w", errBreach, err)
	g.log.Warn("plugin broke its dial socket; its process is replaced", "error", err)
	_ = g.run.refuse(err)
	g.run.kill()
}

// introduce makes the first call, which shows that the plugin is ready and is what it should be.
func (g *Generation) introduce(ctx context.Context, conn *grpc.ClientConn) error {
	g.plugin = dial.New(conn)
	var err error
	if g.manifest, err = g.plugin.Describe(ctx); err != nil {
		return err
	}
	return g.binary.checkIdentity(g.manifest)
}

// abandon ends a start that failed and gives the reason.
func (g *Generation) abandon(ctx context.Context, err error) error {
	reason, code := g.reason(ctx, err), sdk.Unavailable
	if sdk.CodeOf(reason) == sdk.FailedPrecondition {
		code = sdk.FailedPrecondition
	}
	g.run.kill()
	g.release()
	return fault(code, "start", g.binary, "%w%s", reason, said(g.tail))
}

// reason finds out why a start failed. What the host saw first counts more than what followed from it: err is often only
// that the connection is not there.
func (g *Generation) reason(ctx context.Context, err error) error {
	if refusal := g.run.refusal(); refusal != nil {
		return refusal
	}
	switch {
	case errors.Is(err, ErrIdentity), errors.Is(err, ErrEscalation), errors.Is(err, ErrNotExecutable):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded), sdk.CodeOf(err) == sdk.DeadlineExceeded: // a call may know it a moment earlier
		return fmt.Errorf("%w (%v): %w", ErrSlow, g.startTimeout, context.DeadlineExceeded)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	proc := g.run.process()
	if proc == nil || !proc.Within(holdout) {
		return err
	}
	exit := proc.ExitText()
	if proc.ExitCode() == 0 {
		exit += "; is it a Keyway plugin?"
	}
	return fmt.Errorf("%w before it was ready (%s)", ErrEnded, exit)
}

// watch ends the process when its connection is lost while it runs, since nobody could talk to it any more, and when it
// hangs.
func (g *Generation) watch(conn *grpc.ClientConn, how probing) {
	ctx, cancel := context.WithCancel(context.Background())
	g.unwatch, g.gone = cancel, make(chan struct{})
	proc := g.run.process()
	go func() {
		<-proc.Done() // a connection can outlive its process: where a child of that has inherited it
		cancel()
	}()
	g.watchers.Go(func() { g.probe(ctx, how) })
	g.watchers.Go(func() {
		if conn.GetState() == connectivity.Ready {
			conn.WaitForStateChange(ctx, connectivity.Ready)
		}
		close(g.gone)
		if ctx.Err() != nil || proc.Within(holdout) {
			return
		}
		_ = g.run.refuse(errLost)
		proc.Kill()
	})
}

// lost reports whether no call can succeed any more.
func (g *Generation) lost() bool {
	select {
	case <-g.gone:
		return true
	case <-g.Done(): // a moment before gone
		return true
	default:
		return false
	}
}

// ended explains the end of the process, after release.
func (g *Generation) ended() error {
	return sdk.Errorf(sdk.Unavailable, "plugin %q (process %d): %w: %s%s", g.binary.Provider, g.PID(), ErrEnded, g.why(), said(g.tail))
}

// why tells why the process ended, after release.
func (g *Generation) why() string {
	if lost := g.run.refusal(); lost != nil {
		return lost.Error()
	}
	return g.run.process().ExitText()
}

// struck reports whether somebody else's signal killed or stopped the process, after release.
func (g *Generation) struck() bool {
	if why := g.run.refusal(); why != nil {
		return errors.Is(why, errFrozen)
	}
	switch g.run.process().ExitText() {
	case "signal: killed", "signal: terminated":
		return true
	}
	return false
}

// stop ends the process: it closes the lifeline and gives the plugin time to close its stores, then asks its group with
// SIGTERM, then kills it. A ctx that ends kills at once. The process has ended when stop returns.
func (g *Generation) stop(ctx context.Context, p patience) {
	g.unwatch()
	_ = g.run.lifeline.Close()
	proc := g.run.process()
	if !ends(ctx, proc, p.lifeline) {
		proc.Terminate()
		if !ends(ctx, proc, p.terminate) {
			proc.Kill()
		}
	}
	g.release()
}

// ends reports whether the process ends within d, or before ctx does.
func ends(ctx context.Context, p *child.Process, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-p.Done():
		return true
	case <-ctx.Done():
		return false
	}
}

// release waits for the process to end and frees everything that the generation holds in the host. It is called once, by
// whoever started the generation.
func (g *Generation) release() {
	if g.unwatch != nil {
		g.unwatch()
		g.watchers.Wait()
	}
	if proc := g.run.process(); proc != nil {
		<-proc.Done()
		_ = g.run.lifeline.Close()
		g.run.outs.drain(&g.run.readers)
		g.run.outs.closeReaders()
	}
	_ = g.run.deliver.Close()
	g.run.closeDial()
	g.undial()
	g.client.Kill() // the process has ended: this only frees go-plugin's goroutines and connection
	g.conns.close()
	_ = g.dir.Remove()
}
