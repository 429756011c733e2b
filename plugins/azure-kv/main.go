// Command azure-kv is the provider for the secrets of Azure Key Vault, as a plugin.
package main

import (
	"os"

	"github.com/keyway-dev/keyway/sdk/serve"
)

// version is the release; the build stamps it.
var version = "0.1.0"

func main() {
	// The client library would send logins to a regional authority, and its logs to stderr, for the environment's sake.
	for _, name := range []string{"AZURE_REGIONAL_AUTHORITY_NAME", "AZURE_SDK_GO_LOGGING"} {
		_ = os.Unsetenv(name)
	}
	serve.Main(plugin())
}
