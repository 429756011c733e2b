// Package example is a complete provider whose backend is memory. Copy it to begin a provider of your own; import it where
// a test needs a plugin that does whatever it is told.
//
// The files are those of every provider, in the order to read them:
//
//	plugin/main.go  the program
//	settings.go     what an operator may set, and what follows from it
//	store.go        one open store: logging in, reading
//	write.go        putting, deleting, restoring
//	list.go         listing, describing, versions
//	crypt.go        encrypting and decrypting
//	watch.go        hints of change
//	errors.go       classify, the one place where backend errors get their code
//
// backend.go, faults.go, memory.go and events.go stand for what a real provider reaches over the network: they have nothing to copy.
package example

import (
	"context"

	"github.com/keyway-dev/keyway/sdk"
)

// Plugin makes the provider with a backend of its own: two Plugins share nothing.
func Plugin() *sdk.Plugin { return NewBackend().Plugin() }

// Plugin makes a provider whose stores live in b.
func (b *Backend) Plugin() *sdk.Plugin {
	about := sdk.About{
		Name:    "example",
		Version: "0.1.0",
		Summary: "Secrets in memory, for trying things out and for tests.",
	}
	return sdk.Define(about, func(_ context.Context, env sdk.Env, s Settings) (*store, error) {
		return open(b, env, s), nil
	})
}
