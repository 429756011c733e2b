// Package conformance runs the suite of sdktest for the tests of make e2e and keeps what became of each check, so that the
// table at its end shows every provider beside the others.
package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyway-dev/keyway/e2e/cache"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// Folder holds the records, below the root of the module. What is in it when tests begin is of an earlier run.
const Folder = ".cache/conformance"

// record is what one run of the suite left. A provider has one for each set of settings that its tests try.
type record struct {
	Provider string            `json:"provider"`
	Test     string            `json:"test"`
	Checks   map[string]string `json:"checks"` // passed, failed or absent, by the check's name
}

// Run is sdktest.Run for a provider, and leaves a record. Test processes may do so at the same time.
func Run(t *testing.T, provider string, target *sdktest.Target) {
	t.Helper()
	r := record{provider, t.Name(), map[string]string{}}
	for _, result := range sdktest.Run(t, target) {
		r.Checks[result.Check.Name] = result.Status.String()
	}
	root, err := cache.Root()
	if err == nil {
		err = r.write(filepath.Join(root, Folder))
	}
	if err != nil {
		t.Errorf("keep the results of %s: %v", provider, err)
	}
}

// write makes the record's file, in one step.
func (r record) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, r.Provider)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "run")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which is gone if all went well
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), f.Name()+".json") // a test may run the suite more than once
}

// read gives the records of a provider; none is no error.
func read(dir, provider string) ([]record, error) {
	files, err := filepath.Glob(filepath.Join(dir, provider, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []record
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if r.Provider != provider {
			return nil, fmt.Errorf("%s is a record of %q", file, r.Provider)
		}
		out = append(out, r)
	}
	return out, nil
}
