package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// probing is how a ready generation is watched: every so often it is asked what it is. It hangs when neither that nor any
// other call is answered for misses times timeout. A slow process answers late, and a late answer counts too.
type probing struct {
	every, timeout time.Duration
	misses         int
}

var defaultProbing = probing{every: 5 * time.Second, timeout: 2 * time.Second, misses: 3}

// Why a process is ended that runs.
var (
	errFrozen = errors.New("it was stopped by a signal")
	errHung   = errors.New("it answers nothing any more")
)

// answered counts the calls that the process has answered, with a failure or without. One that ran into its deadline while
// the process is stopped has it probed at once.
func (g *Generation) answered(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, conn, opts...)
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		if frozen(g.PID()) {
			select {
			case g.late <- struct{}{}:
			default:
			}
		}
	case codes.Unavailable, codes.Canceled:
	default:
		g.answers.Add(1)
	}
	return err
}

// probe asks the process for signs of life until ctx ends, and ends it when there are none: the supervision then starts the
// next.
func (g *Generation) probe(ctx context.Context, how probing) {
	t := time.NewTimer(how.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.late:
		case <-t.C:
		}
		if why := g.probeOnce(ctx, how); why != nil {
			_ = g.run.refuse(why)
			g.run.kill()
			return
		}
		t.Reset(how.every)
	}
}

// probeOnce is nil for a process that answers, and for one that has ended. One that is stopped has half of the time of one
// miss, from a look at it to the next.
func (g *Generation) probeOnce(ctx context.Context, how probing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, patience := g.answers.Load(), how.timeout
	if frozen(g.PID()) {
		patience /= 2
	}
	answer := make(chan error, 1)
	go func() { answer <- g.unchanged(ctx) }()
	for missed := 1; ; missed++ {
		asked, t := time.Now(), time.NewTimer(patience)
		select {
		case why := <-answer:
			t.Stop()
			return why
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		switch {
		case g.answers.Load() != before:
			return nil
		case time.Since(asked) > 2*patience:
			missed-- // the host itself was held up
		case frozen(g.PID()):
			return errFrozen
		case missed == how.misses:
			return fmt.Errorf("%w: nothing for %v", errHung, time.Duration(how.misses)*patience)
		}
	}
}

// unchanged asks the process what it is, and holds that against what it said when it started. A failure of the connection
// says nothing here: whoever watches that sees it too.
func (g *Generation) unchanged(ctx context.Context) error {
	m, err := g.plugin.Describe(ctx)
	switch {
	case err == nil && (m.Name != g.manifest.Name || m.Version != g.manifest.Version):
		return fmt.Errorf("%w: it calls itself %.64q, version %.64q, and was version %q when it started", ErrIdentity, m.Name, m.Version, g.manifest.Version)
	case err != nil && !dial.IsTransport(err) && sdk.CodeOf(err) == sdk.Internal:
		return fmt.Errorf("%w: %w", ErrNotPlugin, err)
	}
	return nil
}
