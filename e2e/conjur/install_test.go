//go:build e2e && unix

package conjur_test

import (
	_ "embed"
	"testing"

	"github.com/keyway-dev/keyway/e2e/cache"
)

//go:embed requirements.txt
var requirements []byte

// python gives an interpreter that has CyberArk's client.
func python(t *testing.T) string {
	t.Helper()
	interpreter, err := cache.Python("conjur-api", requirements)
	if err != nil {
		t.Fatalf("install CyberArk's client: %v", err)
	}
	return interpreter
}
