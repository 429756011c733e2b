package kinds

import (
	"fmt"
	"strings"
)

// Stamp is the text in a candidate's program that says which candidate it is. It is written into the compiled file, over
// that of another candidate: linking each one anew takes half a second, and this a few milliseconds.
type Stamp string

const (
	mark = "keyway candidate:" // no other text in a program begins so
	size = 64                  // bytes of a stamp
)

// Unstamped is the stamp of a program as the compiler leaves it: the good candidate, version 1.0.0.
const Unstamped Stamp = mark + "good 1.0.0                                     "

// NewStamp gives the stamp of a candidate.
func NewStamp(k Kind, version string) (Stamp, error) {
	s := mark + string(k) + " " + version
	if len(s) > size {
		return "", fmt.Errorf("kind and version have %d bytes, %d fit", len(s)-len(mark), size-len(mark))
	}
	return Stamp(s + strings.Repeat(" ", size-len(s))), nil
}

// Read gives the candidate of a stamp, and how many of its reads are good ones before it goes wrong.
func (s Stamp) Read() (k Kind, good int, version string) {
	name, version, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(s), mark)), " ")
	k, good = Kind(name).Split()
	return k, good, version
}
