// Package attempt holds what a confined process must not be able to do, each as code that does it. Tests run every attempt
// confined, where it must fail, and unconfined, where it must succeed: else it would prove nothing. No other code uses it.
package attempt

import (
	"encoding/json"
	"os"
)

// Attempt is one thing to try. It is over in a moment, and does no harm where it succeeds.
type Attempt struct {
	Name string
	Do   func(Targets) error // nil: it worked
	Root bool                // unconfined, only root can
	Host bool                // a host's process can do it too, and goes on
}

// Targets are what attempts aim at. They belong to the host, whose user the attempting process has.
type Targets struct {
	Host     int    // the host's process
	Dir      string // a directory of the host's
	File     string // in Dir, with 16 bytes
	Readable string // a directory that a confined process may read
	Locked   string // a file in Readable of another user's, with no permission for anybody
	Own      string // a directory that a confined process may write in
	TCP, UDP string // addresses where the host listens
	Unix     string // a path where the host listens
	Datagram string // a path where the host takes datagrams
	Abstract string // an abstract name where the host listens
}

// variable is the environment variable that carries targets to a process.
const variable = "PROBE_TARGETS"

// Environ gives targets as the environment of a process.
func (t Targets) Environ() ([]string, error) {
	b, err := json.Marshal(t)
	return []string{variable + "=" + string(b)}, err
}

// FromEnviron reads what Environ gave.
func FromEnviron() (Targets, error) {
	var t Targets
	err := json.Unmarshal([]byte(os.Getenv(variable)), &t)
	return t, err
}
