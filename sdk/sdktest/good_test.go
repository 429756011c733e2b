package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// full is every capability there is. A broken provider embeds it and breaks one promise.
type full interface {
	sdk.Store
	sdk.Getter
	sdk.BatchGetter
	sdk.Stater
	sdk.Lister
	sdk.Versioner
	sdk.Putter
	sdk.Deleter
	sdk.Restorer
	sdk.Encrypter
	sdk.Decrypter
	sdk.Watcher
}

const denied = "kwtest/denied"

// settings are those of good and of every broken provider.
type settings struct {
	Address string `json:"address" doc:"Where the backend listens. Empty: in memory."`
}

func (*settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	const both = sdk.CanEncrypt | sdk.CanDecrypt
	if !methods.Has(both) { // the field store
		return methods
	}
	return methods | sdk.Refinements
}

func (s *settings) Reach() sdk.Reach {
	if s.Address == "" {
		return sdk.Reach{}
	}
	return sdk.Reach{Endpoints: []string{s.Address}}
}

// good keeps every promise: the example, behind a backend that answers nothing where the settings give an address.
type good struct {
	full
	env     sdk.Env
	address string
}

func (g *good) Check(ctx context.Context) (sdk.Report, error) {
	if err := g.call(ctx); err != nil {
		return sdk.Report{}, err
	}
	return g.full.Check(ctx)
}

func (g *good) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if err := g.call(ctx); err != nil {
		return sdk.Secret{}, err
	}
	return g.full.Get(ctx, r)
}

// call asks the backend and waits for its answer.
func (g *good) call(ctx context.Context) error {
	if g.address == "" {
		return nil
	}
	conn, err := g.env.DialContext(ctx, "tcp", g.address)
	if err != nil {
		return sdk.Errorf(sdk.Unavailable, "dial %s: %w", g.address, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = conn.Read(make([]byte, 1))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return sdk.Errorf(sdk.Unavailable, "read from %s: %w", g.address, err)
}

// opening is what a wrap function may use besides the good store.
type opening struct {
	ctx      context.Context
	settings settings
}

// provider makes a plugin whose stores are good ones, wrapped. They share one backend.
func provider[P sdk.Store](wrap func(*good, opening) P) *sdk.Plugin {
	memory := example.NewBackend().Plugin()
	inner := fmt.Sprintf(`{"denied":[%q]}`, denied)
	about := sdk.About{Name: "wrapped", Version: "1.0.0"}
	return sdk.Define(about, func(ctx context.Context, env sdk.Env, s settings) (P, error) {
		var none P
		o, err := memory.Open(ctx, env, []byte(inner))
		if err != nil {
			return none, err
		}
		store, ok := o.Store.(full)
		if !ok {
			return none, sdk.Errorf(sdk.Internal, "open: the example lacks a capability")
		}
		return wrap(&good{full: store, env: env, address: s.Address}, opening{ctx, s}), nil
	})
}

// broken is provider for a wrap that needs the store only.
func broken[P sdk.Store](wrap func(*good) P) *sdk.Plugin {
	return provider(func(g *good, _ opening) P { return wrap(g) })
}

// piped serves a plugin over the wire in memory and opens its store as a target.
func piped(t *testing.T, p *sdk.Plugin) *Target {
	t.Helper()
	conn, stop := serve.Pipe(p)
	t.Cleanup(stop)
	plugin := dial.New(conn)
	store, err := plugin.Open(t.Context(), "main~1", []byte(`{}`))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return &Target{
		Plugin:   plugin,
		Settings: []byte(`{}`),
		SettingsAt: func(address string) []byte {
			raw, _ := json.Marshal(map[string]string{"address": address}) // strings always marshal
			return raw
		},
		Store:    store,
		Scratch:  "kwtest/",
		Denied:   denied,
		Patience: time.Second,
	}
}

// outcome sorts the names of the results by status.
func outcome(results []Result) map[Status][]string {
	out := map[Status][]string{}
	for _, r := range results {
		out[r.Status] = append(out[r.Status], r.Check.Name)
	}
	return out
}
