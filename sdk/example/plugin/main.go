// Command plugin is the example provider as a plugin. Its secrets live as long as its process.
package main

import (
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

func main() { serve.Main(example.Plugin()) }
