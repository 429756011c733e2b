// Package host gives a gateway its secrets. It reads references such as
//
//	secret://prod/openai#/key      a field of the secret "openai" in the store "prod"
//	secret://env/OPENAI_API_KEY    a variable of the host's own environment
//	os.environ/OPENAI_API_KEY      LiteLLM's form: the default store, or the environment
//	decrypt://kms/CiQAx…           a ciphertext that the store "kms" decrypts
//
// through the stores of a configuration, each served by a plugin: a process of its own.
//
//	cfg, err := config.Load("keyway.yaml")
//	h, err := host.Open(ctx, cfg, host.WithLogger(logger))
//	v, err := h.Resolve(ctx, "secret://prod/openai#/key")
//
// A value that is needed again and again is a [Live]: its Load is one atomic load and always current. [Host.Bind] makes
// every Live of a configuration struct so, in one pass.
//
// The package needs nothing in main: no re-exec, no signal handler, no global. Two hosts in one process are fine. Errors
// are *sdk.Error values, or join them; sdk.CodeOf tells their code and [Retryable] whether waiting may help. No error,
// log line or status holds a value.
package host
