package plugin

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/keyway-dev/keyway/host/internal/plugin/trust"
	"github.com/keyway-dev/keyway/host/internal/suggest"
	"github.com/keyway-dev/keyway/sdk"
)

// Find is Choose for no store in particular: the version that the lock file says to use, or without one the newest.
func (c *Catalog) Find(provider, constraint string) (Binary, error) {
	return c.Choose(provider, "", constraint)
}

// Exactly gives one version of a provider, whatever the lock file says of it: what it says is for Verify to hold. A file
// without a version is taken where none has this one in its name; it must then say so of itself.
//
// Errors are as those of Choose.
func (c *Catalog) Exactly(provider, version string) (Binary, error) {
	if _, err := semver.StrictNewVersion(version); err != nil {
		return Binary{}, sdk.Errorf(sdk.InvalidArgument, "find plugin %q: %q is not a version such as 1.2.0", provider, version)
	}
	files, err := c.scan()
	if err != nil {
		return Binary{}, err
	}
	return c.exactly(files, provider, version)
}

func (c *Catalog) exactly(files []file, provider, version string) (Binary, error) {
	only, err := semver.NewConstraint("=" + version)
	if err != nil {
		return Binary{}, sdk.Errorf(sdk.InvalidArgument, "find plugin %q: version %q: %w", provider, version, err)
	}
	var there []file
	var found *file
	for _, f := range files {
		switch {
		case f.Provider != provider:
			continue
		case f.Version == version || f.version == nil && found == nil:
			f.constraint = only
			found = &f
		}
		there = append(there, f)
	}
	switch {
	case len(there) == 0:
		return Binary{}, c.unknown(provider, files)
	case found == nil:
		return Binary{}, sdk.Errorf(sdk.NotFound, "find plugin %q: version %s is not in %s, which has %s; keyway plugin install puts it there",
			provider, version, c.opts.Dir, versions(there))
	case found.err != nil:
		return Binary{}, found.err
	}
	return found.Binary, nil
}

// newest gives, of the files that may is asked about, the newest release that satisfies want (nil: any), a pre-release only
// when there is no release or want names one, and a file without a version only when no other fits: what that says of itself
// is held against want when it is described or started.
func (c *Catalog) newest(files []file, provider string, want *semver.Constraints, may func(file) bool) (Binary, error) {
	var fit, bad, other []file
	for _, f := range files {
		switch {
		case f.Provider != provider || !may(f):
		case f.err != nil:
			bad = append(bad, f)
		case f.version != nil && want != nil && !want.Check(f.version):
			other = append(other, f)
		default:
			fit = append(fit, f)
		}
	}
	switch {
	case len(fit) > 0:
		best := slices.MaxFunc(fit, func(a, b file) int { return prefer(a, b, want != nil) })
		best.constraint = want
		return best.Binary, nil
	case len(bad) > 0:
		return Binary{}, bad[0].err
	case len(other) > 0:
		return Binary{}, sdk.Errorf(sdk.NotFound, "find plugin %q: no version satisfies %q; there are %s", provider, want, versions(other))
	}
	return Binary{}, c.unknown(provider, files)
}

// List gives every plugin file by its name, all versions, sorted, and what is wrong in the directory: files that cannot be
// executed, and, as warnings with ErrExposed, what others may write to. Nothing is executed, so whether a file is a plugin is
// for Describe to say.
func (c *Catalog) List() ([]Binary, []error) {
	files, err := c.scan()
	if err != nil {
		return nil, []error{err}
	}
	problems := c.exposed(files)
	var found []Binary
	for _, f := range files {
		if f.err != nil {
			problems = append(problems, f.err)
			continue
		}
		found = append(found, f.Binary)
	}
	return found, problems
}

// file is a file that is named like a plugin.
type file struct {
	Binary
	version *semver.Version // nil: the name has none
	err     error           // why it cannot be used
}

// prefer orders files of one provider: releases before pre-releases, unless previews were asked for, before files without a
// version; then by version.
func prefer(a, b file, previews bool) int {
	rank := func(f file) int {
		switch {
		case f.version == nil:
			return 0
		case f.version.Prerelease() != "" && !previews:
			return 1
		}
		return 2
	}
	if n := cmp.Compare(rank(a), rank(b)); n != 0 || a.version == nil {
		return n
	}
	return a.version.Compare(b.version)
}

// scan reads the directory. The host's own program may lie in it and is no plugin.
func (c *Catalog) scan() ([]file, error) {
	dir, err := filepath.Abs(c.opts.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "plugin directory %q: it does not exist: %w", c.opts.Dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "plugin directory %q: %w", c.opts.Dir, err)
	}
	self := ownProgram()
	var files []file
	for _, e := range entries {
		f, ok := parseName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		f.Path = filepath.Join(dir, e.Name())
		var info fs.FileInfo
		info, f.err = f.inspect(dir)
		if info != nil && (info.IsDir() || self != nil && os.SameFile(self, info)) {
			continue
		}
		files = append(files, f)
	}
	return files, nil
}

func ownProgram() fs.FileInfo {
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

var providerForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// parseName splits "my-store-1.2.0" into provider and version. A name without a version is a provider, "my-store".
//
// A signature lies beside what it signs, and its name would be that of a pre-release: "vault-1.2.0-rc.1.minisig".
func parseName(name string) (file, bool) {
	if strings.HasSuffix(name, trust.Suffix) {
		return file{}, false
	}
	if runtime.GOOS == "windows" {
		name = strings.TrimSuffix(name, ".exe")
	}
	for i := range name {
		if name[i] != '-' {
			continue
		}
		if v, err := semver.StrictNewVersion(name[i+1:]); err == nil && providerForm.MatchString(name[:i]) {
			return file{Binary: Binary{Provider: name[:i], Version: name[i+1:]}, version: v}, true
		}
	}
	return file{Binary: Binary{Provider: name}}, providerForm.MatchString(name)
}

// Named gives the provider and the version that a file is called after; both are empty where its name is no plugin's.
func Named(path string) Binary {
	f, ok := parseName(filepath.Base(path))
	if !ok {
		return Binary{Path: path}
	}
	f.Path = path
	return f.Binary
}

// inspect says whether the file can be executed, and resolves a symbolic link: one that leads out of the directory is
// refused, since whoever owns the directory does not own what it points to.
func (f *file) inspect(dir string) (fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(f.Path)
	if err != nil {
		return nil, fault(sdk.FailedPrecondition, "find", f.Binary, "%w", err)
	}
	if filepath.Dir(real) != dir {
		return nil, fault(sdk.FailedPrecondition, "find", f.Binary, "it is a symbolic link out of the plugin directory, to %s", real)
	}
	f.Path = real
	info, err := os.Lstat(real)
	if err != nil {
		return nil, fault(sdk.FailedPrecondition, "find", f.Binary, "%w", err)
	}
	if !info.Mode().IsRegular() {
		return info, fault(sdk.FailedPrecondition, "find", f.Binary, "it is not a regular file: %w", ErrNotExecutable)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0 {
		return info, fault(sdk.FailedPrecondition, "find", f.Binary, "its mode %v does not let anybody execute it: %w", info.Mode().Perm(), ErrNotExecutable)
	}
	return info, nil
}

// exposed warns of what users other than the owner may write to.
func (c *Catalog) exposed(files []file) []error {
	paths := []string{c.opts.Dir}
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	var warnings []error
	for _, path := range paths {
		if err := exposed(path); err != nil {
			warnings = append(warnings, err)
		}
	}
	return warnings
}

// exposed tells whether users other than the owner may write to a file or folder.
func exposed(path string) error {
	const others = 0o022
	if runtime.GOOS == "windows" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&others == 0 {
		return nil //nolint:nilerr // what is not there is for whoever opens it to say
	}
	return sdk.Errorf(sdk.FailedPrecondition, "%q: %w (mode %v); remove that permission: chmod go-w", path, ErrExposed, info.Mode().Perm())
}

// unknown is the error for a provider that has no file.
func (c *Catalog) unknown(provider string, files []file) error {
	var names []string
	for _, f := range files {
		if !slices.Contains(names, f.Provider) {
			names = append(names, f.Provider)
		}
	}
	if len(names) == 0 {
		return sdk.Errorf(sdk.NotFound, "find plugin %q: there are no plugins in %s", provider, c.opts.Dir)
	}
	const shown = 20
	list := strings.Join(names[:min(len(names), shown)], ", ")
	return sdk.Errorf(sdk.NotFound, "find plugin %q: not in %s%s (there: %s)", provider, c.opts.Dir, suggest.Hint(provider, names), list)
}

func versions(files []file) string {
	var out []string
	for _, f := range files {
		out = append(out, cmp.Or(f.Version, "a file without a version"))
	}
	return strings.Join(out, ", ")
}
