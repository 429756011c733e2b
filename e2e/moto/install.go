//go:build unix

package moto

import (
	_ "embed"

	"github.com/keyway-dev/keyway/e2e/cache"
)

//go:embed requirements.txt
var requirements []byte

// install gives the path of a Python that has the server.
func install() (string, error) { return cache.Python("moto", requirements) }
