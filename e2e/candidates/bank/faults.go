package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/sdk"
)

// fault is what a candidate does in place of a read.
type fault func(ctx context.Context, s *reader, name string) (sdk.Secret, error)

// faultOf gives that of a kind, for all stores of the process; nil for a kind that reads honestly.
func faultOf(kind kinds.Kind) fault {
	switch kind {
	case kinds.NoVersion:
		return func(ctx context.Context, s *reader, name string) (sdk.Secret, error) {
			out, err := s.read(ctx, name)
			out.Version = ""
			return out, err
		}
	case kinds.Noise:
		return first(makeNoise)
	case kinds.Crashes:
		return first(func() {
			fmt.Fprintln(os.Stderr, "assertion failed: the ledger has a page")
			os.Exit(3)
		})
	case kinds.Panics:
		return first(func() { panic("index out of range") })
	case kinds.Hog:
		return first(hog())
	case kinds.Stalls:
		return stall
	case kinds.Faulty:
		return everyNth(kinds.FaultyEvery, sdk.Internal, "the bank's answer makes no sense")
	case kinds.Refuses:
		return everyNth(1, sdk.InvalidArgument, "the bank takes no such name")
	case kinds.Forgets:
		return everyNth(1, sdk.NotFound, "no such secret")
	case kinds.OtherValue:
		return func(ctx context.Context, s *reader, _ string) (sdk.Secret, error) {
			return s.read(ctx, kinds.OtherSecret)
		}
	}
	return nil
}

// after lets the first n reads of the process be honest.
func after(n int64, f fault) fault {
	if f == nil {
		return nil
	}
	var reads atomic.Int64
	return func(ctx context.Context, s *reader, name string) (sdk.Secret, error) {
		if reads.Add(1) <= n {
			return s.read(ctx, name)
		}
		return f(ctx, s, name)
	}
}

// first does something before each read.
func first(do func()) fault {
	return func(ctx context.Context, s *reader, name string) (sdk.Secret, error) {
		do()
		return s.read(ctx, name)
	}
}

func everyNth(n int64, code sdk.Code, reason string) fault {
	var reads atomic.Int64
	return func(ctx context.Context, s *reader, name string) (sdk.Secret, error) {
		if reads.Add(1)%n == 0 {
			return sdk.Secret{}, sdk.Errorf(code, "get %q: %s", name, reason)
		}
		return s.read(ctx, name)
	}
}

func stall(ctx context.Context, _ *reader, name string) (sdk.Secret, error) {
	<-ctx.Done()
	return sdk.Secret{}, sdk.Errorf(sdk.CodeOf(ctx.Err()), "get %q: %w", name, ctx.Err())
}

// hog allocates once, touches every page of it, and keeps it.
func hog() func() {
	const page = 4 << 10
	hoard := sync.OnceValue(func() []byte {
		b := make([]byte, kinds.HogBytes)
		for i := 0; i < len(b); i += page {
			b[i] = 1
		}
		return b
	})
	return func() { _ = hoard() }
}

// hang waits for longer than any test; without a timer Go would end it as a deadlock.
func hang() { <-time.After(time.Hour) }
