// Command bank is a provider whose next version may turn out in many ways. Its stamp says which one it is: a plugin gets
// nothing from its surroundings that could tell it.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// stamp is a variable so that it is read when the program runs, not when it is compiled.
var stamp = kinds.Unstamped

func main() {
	kind, good, version := stamp.Read()
	serving := len(os.Args) == 1
	switch {
	case kind == kinds.Exits && serving:
		fmt.Fprintln(os.Stderr, "no licence for this machine")
		os.Exit(3)
	case kind == kinds.Hangs && serving:
		hang()
	case kind == kinds.Noise && serving:
		makeNoise()
	}
	serve.Main(plugin(kind, version, int64(good)))
}

func plugin(kind kinds.Kind, version string, good int64) *sdk.Plugin {
	about := sdk.About{Name: "bank", Version: version, Summary: "Secrets that a test keeps."}
	switch kind {
	case kinds.OtherName:
		about.Name = "thief"
	case kinds.OtherVersion:
		about.Version = "9.9.9"
	case kinds.Direct:
		about.Network = "direct"
	}
	switch kind {
	case kinds.ReadOnly:
		return sdk.Define(about, func(_ context.Context, env sdk.Env, s settings) (*reader, error) {
			return newReader(env, s, nil), nil
		})
	case kinds.NewEndpoint:
		return sdk.Define(about, func(_ context.Context, env sdk.Env, s curious) (*account, error) {
			return &account{newReader(env, settings(s), nil)}, nil
		})
	case kinds.NeedsSetting:
		return sdk.Define(about, func(_ context.Context, env sdk.Env, s regional) (*account, error) {
			return &account{newReader(env, settings{Address: s.Address, Token: s.Token}, nil)}, nil
		})
	case kinds.CannotOpen:
		return sdk.Define(about, func(context.Context, sdk.Env, settings) (*account, error) {
			return nil, sdk.Errorf(sdk.FailedPrecondition, "open: this version has no client for the bank")
		})
	}
	fault := after(good, faultOf(kind))
	return sdk.Define(about, func(_ context.Context, env sdk.Env, s settings) (*account, error) {
		a := &account{newReader(env, s, fault)}
		a.client.refused = kind == kinds.CannotLogin
		return a, nil
	})
}

const noisy = 300 << 10 // bytes of one line

func makeNoise() {
	line := strings.Repeat("o", noisy)
	fmt.Println(line)
	fmt.Fprintln(os.Stderr, line)
}
