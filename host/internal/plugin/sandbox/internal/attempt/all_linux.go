package attempt

import "slices"

// What else a program can be told: to end at once, to wait for its standard input, or to print the descriptors that it was
// given, or to be traced by its host and go on.
const (
	Nothing     = "nothing"
	Wait        = "wait"
	Descriptors = "descriptors"
	Traced      = "traced"
)

// All gives every attempt.
func All() []Attempt { return slices.Concat(files(), programs(), processes(), network(), kernel()) }
