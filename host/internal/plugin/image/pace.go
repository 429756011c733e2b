package image

import (
	"context"
	"io"
	"runtime"
	"time"
)

// An image is copied and hashed while a gateway serves, so it is done in steps of some 100 us. A longer one would keep a
// processor, and in the scheduler's eyes a call that waits for it has waited for nothing unusual.
const step = 128 << 10 // bytes

// rest is how much longer than a step the pause after it is, where there is time.
const rest = 3

type besideKey struct{}

// Beside gives a context in which opening an image leaves most of the processor to others: it takes several times as long.
func Beside(ctx context.Context) context.Context { return context.WithValue(ctx, besideKey{}, true) }

// pause lets others run after a step that took some time.
func pause(ctx context.Context, worked time.Duration) error {
	if ctx.Value(besideKey{}) == nil {
		runtime.Gosched()
		return ctx.Err()
	}
	t := time.NewTimer(rest * worked)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copyTo copies the source, in steps.
func copyTo(ctx context.Context, to io.Writer, from io.Reader) error {
	for total := int64(0); ; {
		begun := time.Now()
		n, err := io.CopyN(to, from, step)
		if total += n; total > MaxSize {
			return tooLarge()
		}
		if err == io.EOF { //nolint:errorlint // CopyN's own word for the end
			return ctx.Err()
		}
		if err == nil {
			err = pause(ctx, time.Since(begun))
		}
		if err != nil {
			return err
		}
	}
}

// paced reads in steps. What was done with the last one counts as its work.
type paced struct {
	ctx context.Context
	io.Reader
	since time.Time
}

func (p *paced) Read(b []byte) (int, error) {
	if !p.since.IsZero() {
		if err := pause(p.ctx, time.Since(p.since)); err != nil {
			return 0, err
		}
	}
	p.since = time.Now()
	return p.Reader.Read(b)
}
