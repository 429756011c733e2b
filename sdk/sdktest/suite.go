// Package sdktest holds a provider to the promises of the contract.
//
// [Suite] is a list of promises, each with a function that tries it over the wire and answers an error where it is not
// kept. [Run] is the loop for go test and [Verify] the loop for everything else. [Build] and [Start] run a plugin the
// way a host does, as a process of its own:
//
//	func TestConformance(t *testing.T) {
//		plugin := sdktest.Start(t, sdktest.Build(t, "."))
//		settings := []byte(`{"address":"http://127.0.0.1:8200","token":"test"}`)
//		store, err := plugin.Open(t.Context(), "test~1", settings)
//		if err != nil {
//			t.Fatal(err)
//		}
//		sdktest.Run(t, &sdktest.Target{Plugin: plugin, Settings: settings, Store: store, Scratch: "kwtest/"})
//	}
//
// A promise that stands behind a capability is tried where the store claims the capability; elsewhere it is reported as
// absent, which is neither passed nor failed. A capability that is claimed and not kept fails.
package sdktest

import (
	"context"
	"slices"

	"github.com/keyway-dev/keyway/sdk"
)

// Check is one promise of the contract and the way to try it.
type Check struct {
	Name    string           // topic and promise: "put/if-version-lost"
	Promise string           // what a provider promises, in one sentence
	Needs   sdk.Capabilities // what a store must claim for the promise to be tried

	// Run tries the promise. It answers nil where it is kept, else what happened instead. An error names secrets and
	// codes, never a value.
	Run func(ctx context.Context, t *Target) error

	given func(t *Target) string // tells what else the target lacks, if anything
}

// Absent tells why a target cannot show the promise: the capabilities that its store does not claim, or what the target
// does not give. It is empty where the check can run.
func (c Check) Absent(t *Target) string {
	if lacking := c.Needs &^ t.Store.Can(); lacking != 0 {
		return "the store does not claim " + lacking.String()
	}
	if c.given != nil {
		return c.given(t)
	}
	return ""
}

// Suite is every promise, in the order in which they are best read and mended: what fails early often explains what fails
// late. Each check makes its own secrets below the target's Scratch and stands alone.
func Suite() []Check {
	return slices.Concat(describeChecks(), openChecks(), closeChecks(), getChecks(), batchChecks(), putChecks(),
		preconditionChecks(), deleteChecks(), restoreChecks(), listChecks(), statChecks(), versionChecks(), cryptChecks(),
		watchChecks(), limitChecks(), absentChecks(), failureChecks(), hangChecks(), concurrencyChecks())
}

func promise(name, text string, needs sdk.Capabilities, run func(context.Context, *Target) error) Check {
	return Check{Name: name, Promise: text, Needs: needs, Run: run}
}

// with adds what the target must give.
func (c Check) with(given func(*Target) string) Check {
	c.given = given
	return c
}
