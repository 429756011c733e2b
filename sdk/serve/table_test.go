package serve_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

func TestAHandleIsOneOpening(t *testing.T) {
	var made atomic.Int32
	p := dial.New(serveFake(t, func(sdk.Env) *fake { made.Add(1); return &fake{} }))
	for range 3 {
		if _, err := p.Open(t.Context(), "a~1", []byte(`{"x":1}`)); err != nil {
			t.Fatalf("the same handle with the same settings: %v", err)
		}
	}
	if made.Load() != 1 {
		t.Errorf("%d stores were opened for one handle", made.Load())
	}
	if _, err := p.Open(t.Context(), "a~1", []byte(`{"x":2}`)); sdk.CodeOf(err) != sdk.AlreadyExists {
		t.Errorf("the same handle with other settings: %v, want already exists", err)
	}
	if _, err := p.Open(t.Context(), "a~2", []byte(`{"x":2}`)); err != nil {
		t.Errorf("another handle: %v", err)
	}
}

func TestManyOpeningsOfOneHandleMakeOneStore(t *testing.T) {
	var made atomic.Int32
	p := dial.New(serveFake(t, func(sdk.Env) *fake { made.Add(1); return &fake{} }))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := p.Open(t.Context(), "a~1", nil); err != nil {
				t.Errorf("Open: %v", err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d stores were opened for one handle", made.Load())
	}
}

func TestAFailedOpeningLeavesItsHandleFree(t *testing.T) {
	p := dial.New(serveFake(t, func(sdk.Env) *fake { return &fake{} }))
	for settings, want := range map[string]sdk.Code{`{"fail":"error"}`: sdk.PermissionDenied, `{"fail":"panic"}`: sdk.Internal, `{"y":1}`: sdk.InvalidArgument} {
		handle := fmt.Sprint("a~", want)
		if _, err := p.Open(t.Context(), handle, []byte(settings)); sdk.CodeOf(err) != want {
			t.Errorf("Open with %s: %v, want %v", settings, err, want)
		}
		if _, err := p.Open(t.Context(), handle, nil); err != nil {
			t.Errorf("Open after one that failed with %v: %v", want, err)
		}
	}
}

func TestAHandleThatIsNotOpenIsToldFromAMissingSecret(t *testing.T) {
	s, _ := openFake(t, &fake{})
	if err := s.Close(t.Context()); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("a second Close: %v, want none", err)
	}
	_, get := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	_, check := s.Check(t.Context())
	watch := s.Watch(t.Context(), func(sdk.Event) error { return nil })
	for name, err := range map[string]error{"get": get, "check": check, "watch": watch} {
		if !dial.IsUnknownStore(err) || sdk.CodeOf(err) != sdk.FailedPrecondition || dial.IsTransport(err) {
			t.Errorf("%s on a closed handle: %v, want an unknown store", name, err)
		}
	}
}

func TestCloseWaitsForCalls(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	var returned, closedAfter atomic.Bool
	s, _ := openFake(t, &fake{
		get: func(context.Context, sdk.GetRequest) (sdk.Secret, error) {
			close(inside)
			<-leave
			returned.Store(true)
			return sdk.Secret{Value: sdk.SensitiveString("v")}, nil
		},
		close: func(context.Context) error { closedAfter.Store(returned.Load()); return nil },
	})
	get := make(chan error, 1)
	go func() { _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); get <- err }()
	<-inside
	closed := make(chan error, 1)
	go func() { closed <- s.Close(t.Context()) }()
	for { // until the handle is gone: Close has begun
		if _, err := s.Check(t.Context()); dial.IsUnknownStore(err) {
			break
		}
	}
	close(leave)
	if err := <-get; err != nil {
		t.Errorf("a call that Close met: %v, want its answer", err)
	}
	if err := <-closed; err != nil || !closedAfter.Load() {
		t.Errorf("Close: %v, the provider's Close after the call: %v", err, closedAfter.Load())
	}
}

func TestACloseThatRunsOutOfTimeCancelsTheCalls(t *testing.T) {
	inside, freed := make(chan struct{}), make(chan error, 1)
	s, _ := openFake(t, &fake{
		get: func(ctx context.Context, _ sdk.GetRequest) (sdk.Secret, error) {
			close(inside)
			<-ctx.Done()
			return sdk.Secret{}, ctx.Err()
		},
		close: func(ctx context.Context) error { freed <- ctx.Err(); return nil },
	})
	get := make(chan error, 1)
	go func() { _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); get <- err }()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	go func() { closed <- s.Close(ctx) }()
	for {
		if _, err := s.Check(t.Context()); dial.IsUnknownStore(err) {
			break
		}
	}
	cancel()
	if err := <-closed; !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want canceled", err)
	}
	if err := <-get; sdk.CodeOf(err) != sdk.Canceled || dial.IsTransport(err) {
		t.Errorf("the call: %v, want canceled", err)
	}
	if err := <-freed; err != nil {
		t.Errorf("the provider's Close got a context that had ended: %v", err)
	}
}

func TestCloseEndsWatches(t *testing.T) {
	s, _ := openFake(t, &fake{watch: func(ctx context.Context, emit func(sdk.Event) error) error {
		if err := emit(sdk.Event{}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}})
	began, ended := make(chan sdk.Event, 1), make(chan error, 1)
	go func() { ended <- s.Watch(t.Context(), func(e sdk.Event) error { began <- e; return nil }) }()
	if e := <-began; e != (sdk.Event{}) {
		t.Errorf("the first event is %+v, want an empty one", e)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close with a watch: %v", err)
	}
	if err := <-ended; !dial.IsUnknownStore(err) {
		t.Errorf("the watch ended with %v, want an unknown store", err)
	}
}

func TestAWatchEndsWithItsCaller(t *testing.T) {
	s, _ := openFake(t, &fake{watch: func(ctx context.Context, emit func(sdk.Event) error) error {
		for {
			if err := emit(sdk.Event{Name: "a"}); err != nil {
				return err
			}
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Watch(ctx, func(sdk.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || dial.IsTransport(err) {
		t.Errorf("Watch after its context: %v, want canceled", err)
	}
	stop := errors.New("enough")
	if err := s.Watch(t.Context(), func(sdk.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Watch whose emit failed: %v, want emit's error", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestStoppingAPipeClosesItsStores(t *testing.T) {
	var closed atomic.Int32
	t.Run("pipe", func(t *testing.T) {
		p := dial.New(serveFake(t, func(sdk.Env) *fake {
			return &fake{close: func(context.Context) error { closed.Add(1); return nil }}
		}))
		for i := range 5 {
			if _, err := p.Open(t.Context(), fmt.Sprint("a~", i), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	if closed.Load() != 5 {
		t.Errorf("%d of 5 stores were closed", closed.Load())
	}
}
