package host

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// binding is a text that was parsed once: references and what stands between them.
type binding struct {
	text  string
	parts []part
	whole bool             // the text is one reference; else it is literal text with references inside
	reads []*audit.Counter // of the references; nil: nobody counts
}

// part is one piece of a binding: literal text, or a reading.
type part struct {
	text    string
	reading *reading
}

// reading is a reference bound to the cache entry that answers it, with the field of it that is meant.
type reading struct {
	ref     refs.Ref
	pointer string // into the entry's value; empty: all of it
	entry   *cache.Entry[*Value]
	field   atomic.Pointer[field]
}

// field is the selection of a pointer from one value, kept so that a cached read allocates nothing.
type field struct {
	of, value *Value
	err       error
}

// maxBindings bounds the texts that are remembered; past it they are all forgotten and parsed anew.
const maxBindings = 1 << 16

// bind parses a text and finds its cache entries.
func (h *Host) bind(text string) (*binding, error) {
	if b, ok := h.bindings.Load(text); ok && !b.dead() {
		return b, nil
	}
	b := &binding{text: strings.Clone(text), whole: refs.Is(text)}
	split, err := refs.Split(text)
	if err != nil {
		return nil, err
	}
	found := false
	for _, p := range split {
		if p.Ref == nil {
			b.parts = append(b.parts, part{text: p.Text})
			continue
		}
		r, err := h.read(*p.Ref)
		if err != nil {
			return nil, err
		}
		found = true
		b.parts = append(b.parts, part{reading: r})
		if c := h.audit.counter(p.Ref.Store, p.Ref.Name, p.Ref.Version); c != nil {
			b.reads = append(b.reads, c)
		}
	}
	if !found {
		return nil, sdk.Errorf(sdk.InvalidArgument, "not a reference: a text that names a secret begins with secret://, decrypt://, os.environ/ or oidc/, or holds ${secret://…}")
	}
	if h.bindings.Len() >= maxBindings {
		h.bindings.Clear()
	}
	h.bindings.Store(b.text, b)
	return b, nil
}

// dead reports that an entry was evicted, so that the text must be bound anew.
func (b *binding) dead() bool {
	for _, p := range b.parts {
		if p.reading != nil && p.reading.entry.Dead() {
			return true
		}
	}
	return false
}

// fresh gives the answer if no entry needs a load.
func (b *binding) fresh() (*Value, error, bool) { //nolint:revive // the error is part of the answer, the flag of the question
	if b.whole {
		return b.parts[0].reading.fresh()
	}
	for _, p := range b.parts {
		if p.reading != nil {
			if _, _, ok := p.reading.entry.Fresh(); !ok {
				return nil, nil, false
			}
		}
	}
	v, err := b.join(func(r *reading) (*Value, error) {
		v, err, _ := r.fresh()
		return v, err
	})
	return v, err, true
}

// get gives the answer, loading what is needed.
func (b *binding) get(ctx context.Context) (*Value, error) {
	if b.whole {
		return b.parts[0].reading.get(ctx)
	}
	return b.join(func(r *reading) (*Value, error) { return r.get(ctx) })
}

// join puts the parts of a text together.
func (b *binding) join(get func(*reading) (*Value, error)) (*Value, error) {
	out := &Value{}
	var text []byte
	for _, p := range b.parts {
		if p.reading == nil {
			text = append(text, p.text...)
			continue
		}
		v, err := get(p.reading)
		if err != nil {
			return nil, err
		}
		if v == nil { // evicted between two looks
			return nil, sdk.Errorf(sdk.Unavailable, "%s: the value was evicted while it was read", p.reading.ref)
		}
		text = append(text, v.Reveal()...)
		out.Stale = out.Stale || v.Stale
		out.ReadAt = earlier(out.ReadAt, v.ReadAt)
		out.Expires = earlier(out.Expires, v.Expires)
	}
	out.Sensitive = sdk.NewSensitive(text)
	return out, nil
}

// earlier gives the earlier of two times, zero being none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (r *reading) fresh() (*Value, error, bool) { //nolint:revive // as binding.fresh
	v, err, ok := r.entry.Fresh()
	if !ok || err == nil && r.pointer == "" {
		return v, nil, ok
	}
	if err == nil {
		v, err = r.selectFrom(v)
	}
	if err != nil {
		return nil, located(r.ref, err), true
	}
	return v, nil, true
}

func (r *reading) get(ctx context.Context) (*Value, error) {
	v, err := r.value(ctx)
	if err != nil {
		return nil, located(r.ref, err)
	}
	return v, nil
}

// value is get without the reference in the error.
func (r *reading) value(ctx context.Context) (*Value, error) {
	v, err := r.entry.Get(ctx)
	if err != nil {
		return nil, err
	}
	return r.selectFrom(v)
}

// selectFrom gives the field that the reference points to.
func (r *reading) selectFrom(v *Value) (*Value, error) {
	if r.pointer == "" {
		return v, nil
	}
	if f := r.field.Load(); f != nil && f.of == v {
		return f.value, f.err
	}
	f := &field{of: v}
	b, err := refs.Select(v.Reveal(), r.pointer)
	if err != nil {
		f.err = err
	} else {
		s := *v
		s.Sensitive = sdk.NewSensitive(b)
		f.value = &s
	}
	r.field.Store(f)
	return f.value, f.err
}

// located names the reference that an error is about, unless a context ended: then the caller knows.
func located(r refs.Ref, err error) error {
	out := sdk.Errorf(sdk.CodeOf(err), "%s: %w", refText(r), err)
	if e, ok := asError(err); ok {
		out.Reason, out.RequestID, out.RetryAfter = e.Reason, e.RequestID, e.RetryAfter
	}
	return out
}

// refText is a reference for people: a ciphertext is cut, since it says nothing.
func refText(r refs.Ref) string {
	if r.Kind == refs.Decrypt && len(r.Ciphertext) > 12 {
		r.Ciphertext = r.Ciphertext[:12]
		return r.String() + "…"
	}
	return r.String()
}
