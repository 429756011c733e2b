package host

import (
	"errors"
	"time"
	"unsafe"

	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/sdk"
)

// Value is one secret as it was read. It is immutable and safe for concurrent use. Reveal gives its bytes; it prints as
// redacted.
type Value struct {
	sdk.Sensitive
	Store, Name, Version string    // where it is from; Version is empty where the store does not tell
	ReadAt               time.Time // when the store gave it
	Expires              time.Time // end of its lease; zero: none
	Stale                bool      // served past its time, because the store could not be asked or was slow
}

// Text is Reveal as a string, without an allocation.
func (v *Value) Text() string {
	b := v.Reveal()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// newerThan reports whether v differs from old in what a reader of the secret sees.
func (v *Value) newerThan(old *Value) bool {
	return old == nil || v.Version != old.Version || !v.Equal(old.Sensitive)
}

func markStale(v *Value) *Value {
	s := *v
	s.Stale = true
	return &s
}

func loaded(v *Value) cache.Loaded[*Value] {
	return cache.Loaded[*Value]{Value: v, Expires: v.Expires, Size: v.Len()}
}

// ErrUnchanged is what Reject answers beside the value when reading anew gave the same one: the secret is refused
// upstream and there is no other.
var ErrUnchanged = errors.New("the store still has the value that was rejected")

// Retryable reports whether waiting may mend err: everything it joins is unreachable, late or throttled. Bind's values
// then arrive by themselves.
func Retryable(err error) bool {
	switch sdk.CodeOf(err) {
	case sdk.Unavailable, sdk.DeadlineExceeded, sdk.ResourceExhausted:
		return true
	}
	return false
}
