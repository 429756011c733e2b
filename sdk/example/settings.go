package example

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Settings is what an operator may set. The order of the fields is the order in which a form shows them; each tag is part
// of the JSON Schema that the plugin publishes.
type Settings struct {
	Data         string            `json:"data" default:"default" doc:"Which secrets: stores with the same data, in one process, share them. They outlast the store, so opening it again finds them."`
	Prefix       string            `json:"prefix" example:"team-a/" doc:"Put before every name."`
	Key          string            `json:"key" default:"main" doc:"Name of the key that encrypts and decrypts."`
	Token        sdk.Sensitive     `json:"token" doc:"What the store logs in with."`
	RequireToken sdk.Sensitive     `json:"require_token" doc:"What token must be for calls to be accepted. Empty accepts every token."`
	Seed         map[string]string `json:"seed" doc:"Secrets to begin with, by name; each is planted once. For trying things out: these values are not treated as secret."`
	Denied       []string          `json:"denied" doc:"Names on which every call is refused."`
	Delay        time.Duration     `json:"delay" default:"0s" doc:"How long each read takes."`
	ReadOnly     bool              `json:"read_only" doc:"The store cannot put, delete or restore."`
}

// Validate checks what a single field's tags cannot. It runs after every field has been decoded without a fault, and
// reports all it finds; a message never quotes a value.
func (s *Settings) Validate() []sdk.Problem {
	var out []sdk.Problem
	if err := sdk.CheckPrefix(s.Prefix); err != nil {
		out = append(out, sdk.Problem{Path: "/prefix", Message: err.Error()})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Seed)) {
		path := "/seed/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if err := sdk.CheckName(s.Prefix + name); err != nil {
			out = append(out, sdk.Problem{Path: path, Message: err.Error()})
		}
		if err := sdk.CheckValue(sdk.SensitiveString(s.Seed[name])); err != nil {
			out = append(out, sdk.Problem{Path: path, Message: err.Error()})
		}
	}
	for i, name := range s.Denied {
		if err := sdk.CheckName(name); err != nil {
			out = append(out, sdk.Problem{Path: fmt.Sprintf("/denied/%d", i), Message: err.Error()})
		}
	}
	return out
}

const (
	writing    = sdk.CanPut | sdk.CanDelete | sdk.CanRestore
	refineRead = sdk.CanGetVersion | sdk.CanAAD
	refinePut  = sdk.CanPutIfAbsent | sdk.CanPutIfVersion | sdk.CanPutLabels | sdk.CanPurge | sdk.CanDeleteWindow
)

// Capabilities tells what a store with these settings can do: what its methods show, and the refinements that they keep.
// Claim only what the store honours; the conformance suite tries each claim.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	if s.ReadOnly {
		return methods&^writing | refineRead
	}
	return methods | refineRead | refinePut
}

// Reach names every address and file the store will touch. Memory touches none; a provider with a backend lists it as
// "host:port", and the host lets it dial nothing else.
func (s *Settings) Reach() sdk.Reach { return sdk.Reach{} }
