package sdktest

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/keyway-dev/keyway/sdk"
)

// Providers that break a promise of opening, reading, listing or describing.

// dials connects while it opens.
func dials() *sdk.Plugin {
	return provider(func(g *good, o opening) *good {
		if conn, err := g.env.DialContext(o.ctx, "tcp", g.address); err == nil {
			_ = conn.Close()
		}
		return g
	})
}

// sharesSession has one session for all stores, which the first Close ends.
type sharesSession struct {
	*good
	closed *atomic.Bool
}

func closesAll() *sdk.Plugin {
	var closed atomic.Bool
	return provider(func(g *good, _ opening) *sharesSession { return &sharesSession{g, &closed} })
}

func (s *sharesSession) Close(context.Context) error {
	s.closed.Store(true)
	return nil
}

func (s *sharesSession) Check(ctx context.Context) (sdk.Report, error) {
	if s.closed.Load() {
		return sdk.Report{}, sdk.Errorf(sdk.Unauthenticated, "check: the session has ended")
	}
	return s.good.Check(ctx)
}

// sharesLock holds one lock of the whole plugin across a call of the backend.
type sharesLock struct {
	*good
	mu *sync.Mutex
}

func locks() *sdk.Plugin {
	var mu sync.Mutex
	return provider(func(g *good, _ opening) *sharesLock { return &sharesLock{g, &mu} })
}

func (s *sharesLock) Check(ctx context.Context) (sdk.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good.Check(ctx)
}

func (s *sharesLock) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good.Get(ctx, r)
}

type ignoresContext struct{ *good }

func (s *ignoresContext) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	return s.good.Get(context.WithoutCancel(ctx), r)
}

type unmappedDown struct{ *good }

func (s *unmappedDown) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	v, err := s.good.Get(ctx, r)
	if errors.Is(err, sdk.Unavailable) {
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: unexpected answer", r.Name)
	}
	return v, err
}

type emptyMissing struct{ *good }

func (s *emptyMissing) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	v, err := s.good.Get(ctx, r)
	if errors.Is(err, sdk.NotFound) && r.Version == "" {
		return sdk.Secret{}, nil
	}
	return v, err
}

type ignoresVersion struct{ *good }

func (s *ignoresVersion) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	r.Version = ""
	return s.good.Get(ctx, r)
}

type answersAlias struct{ *good }

func (s *answersAlias) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	v, err := s.good.Get(ctx, r)
	v.Version = "latest"
	return v, err
}

type hidesDenied struct{ *good }

func (s *hidesDenied) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	v, err := s.good.Get(ctx, r)
	if errors.Is(err, sdk.PermissionDenied) {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "get %q: no such secret", r.Name)
	}
	return v, err
}

type forgetsDeleted struct{ *good }

func (s *forgetsDeleted) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	v, err := s.good.Get(ctx, r)
	if errors.Is(err, sdk.FailedPrecondition) {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "get %q: no such secret", r.Name)
	}
	return v, err
}

type reversesBatch struct{ *good }

func (s *reversesBatch) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	out, err := s.good.GetBatch(ctx, r)
	slices.Reverse(out)
	return out, err
}

type failsBatch struct{ *good }

func (s *failsBatch) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	out, err := s.good.GetBatch(ctx, r)
	for _, x := range out {
		if x.Err != nil {
			return nil, sdk.Errorf(sdk.Unavailable, "get_batch: %w", x.Err)
		}
	}
	return out, err
}

type listsFolder struct{ *good }

func (s *listsFolder) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	r.Prefix = path.Dir(r.Prefix) + "/"
	return s.good.List(ctx, r)
}

type listsBase struct{ *good }

func (s *listsBase) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	page, err := s.good.List(ctx, r)
	for i, m := range page.Items {
		page.Items[i].Name = path.Base(m.Name)
	}
	return page, err
}

type statsValue struct{ *good }

func (s *statsValue) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	m, err := s.good.Stat(ctx, r)
	if v, err := s.Get(ctx, sdk.GetRequest{Name: r.Name}); err == nil {
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels["value"] = string(v.Value.Reveal())
	}
	return m, err
}

type oldestFirst struct{ *good }

func (s *oldestFirst) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	page, err := s.good.Versions(ctx, r)
	slices.Reverse(page.Versions)
	return page, err
}

type unclassified struct{ *good }

func (s *unclassified) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	page, err := s.good.Versions(ctx, r)
	if err != nil {
		return page, errors.New("versions: it did not work") // its code is lost
	}
	return page, nil
}

type panics struct{ *good }

func (s *panics) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	page, err := s.good.Versions(ctx, r)
	if err != nil {
		panic(err)
	}
	return page, nil
}

// watchesOn ends a watch only when the store is closed, which waits for the watch.
type watchesOn struct {
	*good
	hung <-chan struct{}
}

func (s *watchesOn) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() {
		defer cancel()
		<-s.hung
	}()
	return s.good.Watch(ctx, emit)
}

type beginsNamed struct{ *good }

func (s *beginsNamed) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	return s.good.Watch(ctx, func(e sdk.Event) error {
		if e.Name == "" {
			e.Name = "first"
		}
		return emit(e)
	})
}

type watchesNothing struct{ *good }

func (s *watchesNothing) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	if err := emit(sdk.Event{}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
