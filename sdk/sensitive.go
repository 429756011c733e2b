package sdk

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a Sensitive prints.
const Redacted = "[redacted]"

// Sensitive holds bytes that must not be printed. It prints as [Redacted] under every verb, also as an unexported field,
// and refuses to be marshalled: a redacted text that is sent as a password does more harm than an error. It holds a
// closure because printing code that meets an unexported field reads bytes and pointers, but never calls a function. The
// zero value is empty. Copies share the bytes; it is safe for concurrent use.
type Sensitive struct{ reveal func() []byte }

// NewSensitive keeps b, without a copy: do not write to it afterwards.
func NewSensitive(b []byte) Sensitive { return Sensitive{func() []byte { return b }} }

// SensitiveString keeps the bytes of s.
func SensitiveString(s string) Sensitive { return NewSensitive([]byte(s)) }

// Reveal gives the bytes themselves, not a copy: do not write to them. Call it where the bytes leave us; reviewers look
// for it.
func (s Sensitive) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Len is the number of bytes.
func (s Sensitive) Len() int { return len(s.Reveal()) }

// IsZero reports whether it is empty.
func (s Sensitive) IsZero() bool { return s.Len() == 0 }

// Equal compares in a time that depends on the lengths only.
func (s Sensitive) Equal(o Sensitive) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), o.Reveal()) == 1
}

// Format prints [Redacted] under every verb.
func (s Sensitive) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String gives [Redacted].
func (s Sensitive) String() string { return Redacted }

// GoString gives [Redacted].
func (s Sensitive) GoString() string { return Redacted }

// LogValue gives [Redacted].
func (s Sensitive) LogValue() slog.Value { return slog.StringValue(Redacted) }

var errMarshal = errors.New("sdk.Sensitive is never marshalled; Reveal it where the bytes leave")

// MarshalText refuses; XML and YAML ask here.
func (s Sensitive) MarshalText() ([]byte, error) { return nil, errMarshal }

// MarshalJSON refuses.
func (s Sensitive) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalBinary refuses; gob asks here.
func (s Sensitive) MarshalBinary() ([]byte, error) { return nil, errMarshal }

// UnmarshalText keeps a copy of b.
func (s *Sensitive) UnmarshalText(b []byte) error {
	*s = SensitiveString(string(b))
	return nil
}
