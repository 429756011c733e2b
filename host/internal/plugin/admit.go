package plugin

import (
	"context"

	"github.com/keyway-dev/keyway/sdk"
)

// Superseded is closed when a newer generation of the process has taken this one's place.
func (g *Generation) Superseded() <-chan struct{} { return nil }

// Admit lets an opened store touch what it reaches.
func (g *Generation) Admit(context.Context, string, *sdk.Reach) (again bool, err error) {
	return false, nil
}

// Dismiss undoes Admit.
func (g *Generation) Dismiss(string) {}

// Binary is what the process runs.
func (p *Process) Binary() Binary { return p.binary }
