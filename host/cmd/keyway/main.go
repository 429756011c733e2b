// Command keyway gives a gateway its secrets: it starts the gateway with them, reads and writes them, and checks what stands
// between the two.
package main

import (
	"os"

	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/cli"
)

// version is set when the program is built: -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

func main() { os.Exit(cli.Main(version, os.Args[1:])) }
