// Command gcp-sm is the provider for Google Cloud Secret Manager, as a plugin.
package main

import "github.com/keyway-dev/keyway/sdk/serve"

// version is the release; the build stamps it.
var version = "0.1.0"

func main() { serve.Main(plugin()) }
