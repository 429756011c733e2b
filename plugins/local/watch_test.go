package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestWatchHintsAtEachChangeAndEndsWithItsCaller(t *testing.T) {
	path := storePath(t)
	watched, other := openStore(t, path, nil), openStore(t, path, nil)
	watched.poll = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	events, ended := make(chan sdk.Event), make(chan error, 1)
	go func() {
		ended <- watched.Watch(ctx, func(e sdk.Event) error { events <- e; return nil })
	}()
	for _, change := range []func(){
		func() {}, // subscribed
		func() { mustPut(t, other, "a", "1") },
		func() { mustPut(t, other, "a", "2") },
		func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		change()
		if e := <-events; e != (sdk.Event{}) {
			t.Errorf("event %+v, want the one that says anything may have changed", e)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Watch: %v, want it to end with its caller", err)
	}
}

func TestWatchEndsWhenNobodyTakesItsEvents(t *testing.T) {
	gone := errors.New("the stream is gone")
	s := openStore(t, storePath(t), nil)
	if err := s.Watch(t.Context(), func(sdk.Event) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("Watch: %v, want %v", err, gone)
	}
}
