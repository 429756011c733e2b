// Command local is Keyway's embedded default: an encrypted file that keeps secrets with versions, labels and recoverable
// deletes, and encrypts with keys of its own. It opens no socket.
package main

import (
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// version is set when the plugin is built: -ldflags "-X main.version=1.2.3".
var version = "0.1.0"

func main() { serve.Main(plugin()) }

// plugin has no LiteLLM names: LiteLLM's own system "local" means the plain environment, which is something else.
func plugin() *sdk.Plugin {
	return sdk.Define(sdk.About{
		Name:    "local",
		Version: version,
		Summary: "Secrets in an encrypted file on this machine",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/local.md",
	}, open)
}
