package attempt

import "slices"

// What else a program can be told: to end at once, to wait for its standard input, or to print the descriptors that it was
// given.
const (
	Nothing     = "nothing"
	Wait        = "wait"
	Descriptors = "descriptors"
)

// All gives every attempt.
func All() []Attempt { return slices.Concat(files(), programs(), processes(), network(), kernel()) }
