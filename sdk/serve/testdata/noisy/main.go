// Noisy is a plugin that prints where it should not, and panics when it is asked to.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/serve"
	"github.com/keyway-dev/keyway/sdk/serve/testdata/noisy/greeter"
)

type settings struct {
	Farewell string `json:"farewell" doc:"File that closing the store writes."`
}

type store struct {
	env      sdk.Env
	farewell string
}

func (s *store) Check(context.Context) (sdk.Report, error) {
	return sdk.Report{Identity: fmt.Sprint("greeted with bytes: ", greeter.Greeted > 0)}, nil
}

func (s *store) Close(context.Context) error {
	if s.farewell == "" {
		return nil
	}
	return os.WriteFile(s.farewell, []byte("closed"), 0o600)
}

func (s *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if r.Name == "panic" {
		panic("canary-in-a-panic")
	}
	_, _ = os.NewFile(1, "stdout").WriteString("1|1|unix|/nowhere|grpc|\n")
	log.Print("printed with log")
	s.env.Logger.InfoContext(ctx, "read", "name", r.Name)
	return sdk.Secret{Value: sdk.SensitiveString("value of " + r.Name)}, nil
}

func main() {
	about := sdk.About{Name: "noisy", Version: "0.1.0", Summary: "Prints too much."}
	serve.Main(sdk.Define(about, func(_ context.Context, env sdk.Env, s settings) (*store, error) {
		return &store{env: env, farewell: s.Farewell}, nil
	}))
}
