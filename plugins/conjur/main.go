// Command conjur is the provider for CyberArk Conjur, in all its editions, as a plugin.
package main

import (
	"os"
	"strings"

	"github.com/keyway-dev/keyway/sdk/serve"
)

// version is the release; the build stamps it.
var version = "0.1.0"

func main() {
	clearEnvironment()
	serve.Main(plugin())
}

// clearEnvironment takes out what the official client would read: a store is what its settings say.
func clearEnvironment() {
	for _, kv := range os.Environ() {
		if k, _, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "CONJUR_") {
			_ = os.Unsetenv(k)
		}
	}
}
