// Noisy is a plugin that prints where it should not, and panics or tries what no plugin needs when it is asked to.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"

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
	switch r.Name {
	case "panic":
		panic("canary-in-a-panic")
	case "execute":
		return answer(exec.CommandContext(ctx, os.Args[0], "--version").Run())
	case "listen":
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err == nil {
			err = l.Close()
		}
		return answer(err)
	}
	_, _ = os.NewFile(1, "stdout").WriteString("1|1|unix|/nowhere|grpc|\n")
	log.Print("printed with log")
	s.env.Logger.InfoContext(ctx, "read", "name", r.Name)
	return sdk.Secret{Value: sdk.SensitiveString("value of " + r.Name)}, nil
}

// answer gives as the value why something failed.
func answer(err error) (sdk.Secret, error) {
	return sdk.Secret{Value: sdk.SensitiveString(fmt.Sprint(err))}, nil
}

func main() {
	about := sdk.About{Name: "noisy", Version: "0.1.0", Summary: "Prints too much."}
	serve.Main(sdk.Define(about, func(_ context.Context, env sdk.Env, s settings) (*store, error) {
		return &store{env: env, farewell: s.Farewell}, nil
	}))
}
