package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// probing is how a ready generation is watched. A probe is missed when neither it nor any other call is answered in its time.
type probing struct {
	every, timeout time.Duration
	misses         int // in a row, after which the process is taken for hung
}

var defaultProbing = probing{every: 5 * time.Second, timeout: 2 * time.Second, misses: 3}

// Why a process is ended that runs.
var (
	errFrozen = errors.New("it was stopped by a signal")
	errHung   = errors.New("it answers nothing any more")
)

// answered counts the calls that the process has answered, with a failure or without. One that ran into its deadline has
// the process probed at once.
func (g *Generation) answered(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, conn, opts...)
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		select {
		case g.late <- struct{}{}:
		default:
		}
	case codes.Unavailable, codes.Canceled:
	default:
		g.answers.Add(1)
	}
	return err
}

// probe asks the process for signs of life until it has ended, and ends it when there are none: the supervision then starts
// the next. A slow process is none that hangs, and on a machine under load every answer counts.
func (g *Generation) probe(how probing) {
	t := time.NewTimer(how.every)
	defer t.Stop()
	for missed := 0; ; {
		select {
		case <-g.gone:
			return
		case <-g.late:
		case <-t.C:
		}
		err := g.probeOnce(how.timeout)
		switch {
		case err == nil:
			missed = 0
		case errors.Is(err, ErrIdentity) || errors.Is(err, errFrozen):
			g.end(err)
			return
		default:
			if missed++; missed >= how.misses {
				g.end(fmt.Errorf("%w: %d probes of %v were missed", errHung, missed, how.timeout))
				return
			}
		}
		next := how.every
		if missed > 0 {
			next = how.timeout / 2
		}
		t.Reset(next)
	}
}

// probeOnce is nil for a process that answers.
func (g *Generation) probeOnce(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	before := g.answers.Load()
	m, err := g.plugin.Describe(ctx)
	switch {
	case err == nil:
		return g.binary.checkIdentity(m)
	case g.answers.Load() != before:
		return nil
	case frozen(g.PID()):
		return errFrozen
	}
	return err
}

// end ends the process for a reason.
func (g *Generation) end(why error) {
	_ = g.run.refuse(why)
	g.run.kill()
}
