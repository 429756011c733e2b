package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

// Platform is what digests in the lock file are listed by.
const Platform = runtime.GOOS + "/" + runtime.GOARCH

// Choose gives the binary of a provider that a store runs, whose own constraint (">=1.2 <2"; empty: any) it satisfies. The
// lock file says which: the version that it names for the store, else the one that its plugin is to use, and where the
// constraint excludes that one or it was rolled back, the newest that is locked and installed. A provider that is not locked
// gives the newest release that satisfies; whether it may run is for Verify to say. An empty store is none in particular.
//
// Errors are NotFound (no such provider, or no version that satisfies), FailedPrecondition (the directory or the lock file
// cannot be read, the file cannot be executed) and InvalidArgument (a malformed constraint or lock file).
func (c *Catalog) Choose(provider, store, constraint string) (Binary, error) {
	var want *semver.Constraints
	if constraint != "" {
		var err error
		if want, err = semver.NewConstraint(constraint); err != nil {
			return Binary{}, sdk.Errorf(sdk.InvalidArgument, "find plugin %q: version constraint %q: %w", provider, constraint, err)
		}
	}
	locked, err := c.locked()
	if err != nil {
		return Binary{}, err
	}
	files, err := c.scan()
	if err != nil {
		return Binary{}, err
	}
	p, ok := locked.Plugins[provider]
	if !ok {
		return c.newest(files, provider, want, func(file) bool { return true })
	}
	named := cmp.Or(p.Stores[store], p.Use)
	if v, known := p.Versions[named]; known && v.Bad == "" && satisfies(named, want) {
		return c.exactly(files, provider, named)
	}
	return c.newestLocked(files, provider, p, want)
}

// newestLocked gives the newest file of which a version may run by the lock.
func (c *Catalog) newestLocked(files []file, provider string, p lock.Plugin, want *semver.Constraints) (Binary, error) {
	var may, not []string
	for number, v := range p.Versions {
		switch {
		case v.Bad != "":
			not = append(not, number+" must not run: "+v.Bad)
		case !satisfies(number, want):
			not = append(not, fmt.Sprintf("%s does not satisfy %q", number, want))
		default:
			may = append(may, number)
		}
	}
	if len(may) == 0 {
		slices.Sort(not)
		return Binary{}, sdk.Errorf(sdk.FailedPrecondition, "find plugin %q: no version in the lock file can be used (%s); keyway plugin lock %s --use VERSION allows another",
			provider, strings.Join(not, "; "), provider)
	}
	b, err := c.newest(files, provider, want, func(f file) bool { return f.version == nil || slices.Contains(may, f.Version) })
	if errors.Is(err, sdk.NotFound) {
		slices.Sort(may)
		return Binary{}, sdk.Errorf(sdk.NotFound, "find plugin %q: of the locked versions %s none is in %s; keyway plugin install puts one there",
			provider, strings.Join(may, ", "), c.opts.Dir)
	}
	return b, err
}

func satisfies(number string, want *semver.Constraints) bool {
	v, err := semver.StrictNewVersion(number)
	return want == nil || err == nil && want.Check(v)
}

// locked reads the lock file; one that does not exist locks nothing.
func (c *Catalog) locked() (*lock.File, error) {
	if c.opts.Lock == "" {
		return new(lock.File), nil
	}
	f, err := lock.Load(c.opts.Lock)
	if errors.Is(err, sdk.NotFound) {
		return new(lock.File), nil
	}
	return f, err
}

// platforms names what a version has digests for.
func platforms(v lock.Version) string {
	return strings.Join(slices.Sorted(maps.Keys(v.Digests)), ", ")
}
