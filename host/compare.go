package host

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host/internal/store"
	"github.com/keyway-dev/keyway/sdk"
)

// remembered is how many recently read names a store keeps for the comparison before a swap.
const remembered = 20

// recent are the names that were read last, oldest first.
type recent struct {
	mu    sync.Mutex
	names []string
}

func (r *recent) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.names); n > 0 && r.names[n-1] == name {
		return
	}
	if i := slices.Index(r.names, name); i >= 0 {
		r.names = slices.Delete(r.names, i, i+1)
	}
	if len(r.names) == remembered {
		r.names = slices.Delete(r.names, 0, 1)
	}
	r.names = append(r.names, name)
}

func (r *recent) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

// A candidate may be slower than what serves by a factor and a time, which together no noise reaches.
const (
	slowerBy   = 4
	slowerThan = 250 * time.Millisecond

	slowerTimes = 3
)

// compareTimeout bounds one read of a comparison.
const compareTimeout = 10 * time.Second

// compare reads what was read lately on the present plugin and on the candidate. Another answer refuses the candidate; what
// the present plugin cannot read says nothing about the candidate.
//
// A candidate is slower only when it is so three times: a machine under load has slow moments.
func (m *member) compare(ctx context.Context, c *store.Candidate) (same int, err error) {
	for range slowerTimes {
		var was, is time.Duration
		if same, was, is, err = m.compareOnce(ctx, c); err != nil || is <= slowerBy*was || is <= was+slowerThan {
			return same, err
		}
		err = sdk.Errorf(sdk.FailedPrecondition, "store %s: the candidate is slower: a read takes %v, with the present plugin %v", m.name,
			is.Round(time.Millisecond), was.Round(time.Millisecond))
	}
	return same, err
}

// compareOnce gives how many names read the same, and the medians of what that took.
func (m *member) compareOnce(ctx context.Context, c *store.Candidate) (same int, was, is time.Duration, err error) {
	var now, next []time.Duration
	for _, name := range m.recent.list() {
		was, is, err := m.compareOne(ctx, c, name)
		if err != nil {
			return same, 0, 0, err
		}
		if was > 0 {
			same++
			now, next = append(now, was), append(next, is)
		}
	}
	return same, median(now), median(next), nil
}

// compareOne gives how long the present plugin and the candidate took to read a name, or zero where the present plugin
// cannot. A secret may change between the two reads, so what differs is read once more.
func (m *member) compareOne(ctx context.Context, c *store.Candidate, name string) (was, is time.Duration, err error) {
	r := sdk.GetRequest{Name: name}
	for range 2 {
		var old, other sdk.Secret
		if was, old, err = timed(ctx, r, m.store.Get); err != nil {
			return 0, 0, nil //nolint:nilerr // what the present plugin cannot read says nothing about the candidate
		}
		is, other, err = timed(ctx, r, c.Get)
		switch {
		case err != nil:
			err = sdk.Errorf(sdk.CodeOf(err), "store %s: the candidate does not read %q, which the present plugin reads: %w", m.name, name, err)
		case !old.Value.Equal(other.Value) || old.Version != other.Version:
			err = sdk.Errorf(sdk.DataLoss, "store %s: the candidate reads %q as another secret: version %q, with the present plugin %q", m.name, name, other.Version, old.Version)
		default:
			return was, is, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return 0, 0, err
}

func timed(ctx context.Context, r sdk.GetRequest, get func(context.Context, sdk.GetRequest) (sdk.Secret, error)) (time.Duration, sdk.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	begun := time.Now()
	s, err := get(ctx, r)
	return max(time.Since(begun), 1), s, err
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)/2]
}
