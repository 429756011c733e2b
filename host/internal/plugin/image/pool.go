package image

import (
	"context"
	"sync"

	"github.com/keyway-dev/keyway/sdk"
)

// Pool shares open images: a file that has not changed since somebody opened it, and still holds it open, is neither copied
// nor hashed again. Its zero value is empty, and it is safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	open map[state]*pooled
}

// pooled is an image with its users.
type pooled struct {
	ready chan struct{} // closed when image is there, or never will be
	image *Image        // nil: it could not be opened, or its file changed while it was
	users int
}

// Open is [Open], except that users of one file get the same bytes. Each closes what it got.
func (p *Pool) Open(ctx context.Context, path string, o Options) (*Image, error) {
	for {
		key, ok := stateOf(path)
		if !ok {
			return Open(ctx, path, o)
		}
		e, first := p.join(key)
		if first {
			return p.fill(ctx, key, e, path, o)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			_ = p.leave(key, e)
			return nil, sdk.Errorf(sdk.CodeOf(ctx.Err()), "open plugin file %q: %w", path, ctx.Err())
		}
		if e.image != nil {
			return p.share(key, e), nil
		}
		_ = p.leave(key, e)
	}
}

// join counts a user of what a file is in a state. The first one has to open it.
func (p *Pool) join(key state) (e *pooled, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[state]*pooled{}
	}
	e = p.open[key]
	if first = e == nil; first {
		e = &pooled{ready: make(chan struct{})}
		p.open[key] = e
	}
	e.users++
	return e, first
}

// leave takes a user away; the last one closes the image.
func (p *Pool) leave(key state, e *pooled) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.users--; e.users > 0 {
		return nil
	}
	if p.open[key] == e {
		delete(p.open, key)
	}
	if e.image != nil {
		err = e.image.Close()
	}
	return err
}

// fill opens the image for everybody who waits. Where the file has changed meanwhile it is only for its first user, and the
// others open what is there now.
func (p *Pool) fill(ctx context.Context, key state, e *pooled, path string, o Options) (*Image, error) {
	i, err := Open(ctx, path, o)
	now, ok := stateOf(path)
	shared := err == nil && ok && now == key
	p.mu.Lock()
	if shared {
		e.image = i
	} else {
		delete(p.open, key)
	}
	p.mu.Unlock()
	close(e.ready)
	if shared {
		return p.share(key, e), nil
	}
	return i, err
}

// share gives one user its image.
func (p *Pool) share(key state, e *pooled) *Image {
	i := *e.image
	i.release = sync.OnceValue(func() error { return p.leave(key, e) })
	return &i
}
