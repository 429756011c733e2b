// Command table prints what became of every check of the conformance suite with every provider of this repository in the run
// of make e2e that has just ended. It fails where a provider has no result or failed.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keyway-dev/keyway/e2e/cache"
	"github.com/keyway-dev/keyway/e2e/conformance"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	root, err := cache.Root()
	if err != nil {
		return err
	}
	// The binaries are those that the Makefile builds.
	mains, err := filepath.Glob(filepath.Join(root, "plugins", "*", "main.go"))
	if err != nil {
		return err
	}
	var providers []string
	for _, m := range mains {
		providers = append(providers, filepath.Base(filepath.Dir(m)))
	}
	table, err := conformance.Load(filepath.Join(root, conformance.Folder), providers)
	if err != nil {
		return err
	}
	return errors.Join(table.Print(os.Stdout), table.Err())
}
