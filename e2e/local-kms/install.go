//go:build unix

package localkms

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/e2e/cache"
)

const buildTimeout = 10 * time.Minute

// install gives the path of the server's binary, which is built once for what it is made of.
func install() (string, error) {
	root, err := cache.Root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "e2e", "local-kms", "module")
	pins, err := sources(module)
	if err != nil {
		return "", err
	}
	dir, err := cache.Once("local-kms", pins, func(dir string) error { return build(module, filepath.Join(dir, "local-kms")) })
	return filepath.Join(dir, "local-kms"), err
}

// sources is what the binary is made of: the pins of the module and its one file.
func sources(module string) (all []byte, err error) {
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	return all, nil
}

func build(module, binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, ".")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
