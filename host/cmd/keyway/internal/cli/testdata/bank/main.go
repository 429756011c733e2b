// Command bank is the provider of the scripts: read-only, and known to LiteLLM as "bank_vault". The first part of a secret's
// name says what happens.
package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// version is another one where it is built so: -ldflags "-X main.version=1.3.0".
var version = "1.2.3"

type bank struct {
	settings bankSettings
	log      *slog.Logger
}

type bankSettings struct {
	Address string        `json:"address" keyway:"required" env:"BANK_ADDR" litellm:"bank_addr" doc:"where it is; \"down\" does not answer"`
	Field   string        `json:"field" doc:"which field"`
	Token   sdk.Sensitive `json:"token" keyway:"required" env:"BANK_TOKEN" doc:"how to log in; only canary-token is taken"`
}

// Reach is where the bank is, if that is an address.
func (s *bankSettings) Reach() (r sdk.Reach) {
	if strings.Contains(s.Address, ":") {
		r.Endpoints = []string{s.Address}
	}
	return r
}

func main() {
	serve.Main(sdk.Define(sdk.About{Name: "bank", Version: version, Summary: "A bank.", Compat: map[string]string{
		"litellm.system": "bank_vault", "litellm.default./field": `"key"`}},
		func(_ context.Context, e sdk.Env, s bankSettings) (*bank, error) { return &bank{s, e.Logger}, nil }))
}

func (b *bank) Check(context.Context) (sdk.Report, error) {
	switch {
	case b.settings.Address == "down":
		return sdk.Report{}, sdk.Errorf(sdk.Unavailable, "check: the bank does not answer")
	case !b.settings.Token.Equal(sdk.SensitiveString("canary-token")):
		return sdk.Report{}, sdk.Errorf(sdk.Unauthenticated, "check: the bank does not know this token")
	}
	return sdk.Report{Identity: "customer 7", Notes: []string{"the token ends today"}}, nil
}

func (b *bank) Close(context.Context) error { return nil }

func (b *bank) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if _, err := b.Check(ctx); err != nil {
		return sdk.Secret{}, err
	}
	fail := func(c sdk.Code) (sdk.Secret, error) {
		return sdk.Secret{}, sdk.Errorf(c, "get %q: as its name says", r.Name)
	}
	value := []byte("canary-" + r.Name)
	switch kind, _, _ := strings.Cut(r.Name, "-"); kind {
	case "missing", "LITELLM_LICENSE":
		return fail(sdk.NotFound)
	case "denied", "SMTP_PASSWORD":
		return fail(sdk.PermissionDenied)
	case "throttled":
		return sdk.Secret{}, &sdk.Error{Code: sdk.ResourceExhausted, Message: "get: too many calls", Reason: "TooFast", RequestID: "r-1", RetryAfter: 4e9}
	case "deleted":
		return fail(sdk.FailedPrecondition)
	case "broken":
		return fail(sdk.DataLoss)
	case "slow":
		b.log.Info("a slow read began")
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return sdk.Secret{}, ctx.Err()
		}
	case "nul":
		value = []byte("canary-\x00")
	case "big":
		value = append(value, bytes.Repeat([]byte("x"), 128<<10)...)
	case "TRUE_1":
		value = []byte("True")
	}
	if strings.HasPrefix(r.Name, "REDIS_") || strings.HasPrefix(r.Name, "DATABASE_") {
		return fail(sdk.NotFound)
	}
	return sdk.Secret{Value: sdk.NewSensitive(value), Version: "1"}, nil
}
