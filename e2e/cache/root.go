// Package cache keeps what tests install, in a folder of the repository that git ignores.
package cache

import (
	"errors"
	"os"
	"path/filepath"
)

// Root is the nearest folder above the working directory that holds a go.mod; go test works in the package's.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}
