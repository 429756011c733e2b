package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/install"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) pluginInstallCommand() *cobra.Command {
	var r install.Request
	cmd := &cobra.Command{Use: "install FILE", Short: "Verify a plugin, put it into the plugin folder, and lock it",
		Long: `Install takes a program, or a .tar.gz of one. Its signature lies beside it as FILE.minisig, or in the archive.

The signature is verified if plugins.trust has keys for the provider; then the plugin describes itself, without network;
then it is copied to NAME-VERSION; then it is locked. The first version of a plugin is the one in use; a later one comes into
use by "keyway plugin swap".`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error { r.Source = args[0]; return a.pluginInstall(ctx, r) })}
	cmd.Flags().StringVar(&r.Signature, "signature", "", "the minisign signature (default FILE.minisig, if it is there)")
	cmd.Flags().BoolVar(&r.Force, "force", false, "replace other bytes of the same version")
	return cmd
}

func (a *app) pluginInstall(ctx context.Context, r install.Request) error {
	cfg, err := a.configIfAny()
	if err != nil {
		return err
	}
	o := a.pluginOptions(cfg)
	r.Dir, r.Lock, r.Trust, r.Catalog = o.Dir, a.lockFile(cfg), o.Trust, plugin.NewCatalog(o)
	res, err := install.Install(ctx, r)
	if err != nil {
		return &setupError{err}
	}
	a.adviseLock(cfg)
	m := res.Manifest
	return a.print(map[string]any{"name": m.Name, "version": m.Version, "path": res.Path, "digest": res.Digest.String(),
		"signer": res.Signer, "lock": r.Lock, "unchanged": res.Already}, func(w io.Writer) {
		what := "installed"
		if res.Already {
			what = "was there already:"
		}
		fmt.Fprintf(w, "%s %s %s, %s, in %s\n", what, m.Name, m.Version, res.Digest, res.Path)
		if res.Signer != "" {
			fmt.Fprintf(w, "signed by %s\n", res.Signer)
		}
		fmt.Fprintf(w, "locked in %s\n", r.Lock)
	})
}

// adviseLock says so when the lock file that is written is not one that hosts look at.
func (a *app) adviseLock(cfg *config.Config) {
	if cfg == nil || cfg.LockFile() == "" {
		a.say("the lock file holds nobody to it yet: set plugins.lock: keyway.lock in the configuration")
	}
}

// lockChange is what to change in the lock file beyond the digests.
type lockChange struct {
	use       string
	endpoints []string
	reach     bool // the endpoints of the configured stores too
}

func (a *app) pluginLockCommand() *cobra.Command {
	var c lockChange
	cmd := &cobra.Command{Use: "lock [NAME…]", Short: "Accept installed plugins: write their versions and digests into the lock file",
		Long: `Lock writes what is installed into the lock file, of all plugins or of those named: for each version the digest for this
platform, beside those that are there for others, and what the plugin says that it can do.

Without names a version whose bytes have changed is refused. Naming the plugin accepts the change.

With --endpoints the stores that the configuration has of the one NAME are opened, and what their settings lead to is what
they may reach from then on. Their secret managers are not asked; what their settings refer to is read.`,
		RunE: a.action(func(ctx context.Context, names []string) error { return a.pluginLock(ctx, names, c) })}
	cmd.Flags().StringVar(&c.use, "use", "", "version that the stores of the one NAME run; one that was marked bad may run again")
	cmd.Flags().BoolVar(&c.reach, "endpoints", false, "what the configured stores of the one NAME reach with their settings, as --endpoint for each")
	cmd.Flags().StringArrayVar(&c.endpoints, "endpoint", nil, "HOST:PORT that stores of the one NAME may reach and nothing else; *.DOMAIN:PORT for all below a domain")
	return cmd
}

// toLock is one version to write into the lock file.
type toLock struct {
	manifest sdk.Manifest
	digest   image.Digest
}

func (a *app) pluginLock(ctx context.Context, names []string, c lockChange) error {
	if len(names) != 1 && (c.use != "" || len(c.endpoints) > 0 || c.reach) {
		return sdk.Errorf(sdk.InvalidArgument, "--use, --endpoint and --endpoints are of one plugin: name it")
	}
	cfg, err := a.configIfAny()
	if err != nil {
		return err
	}
	file, o := a.lockFile(cfg), a.pluginOptions(cfg)
	o.Lock, o.Unlocked = "", plugin.WarnUnlocked
	catalog := plugin.NewCatalog(o)
	found, err := named(catalog, names)
	if err != nil {
		return &setupError{err}
	}
	var all []toLock
	var failed []error
	for _, b := range found {
		l, err := look(ctx, catalog, b)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		all = append(all, l)
	}
	if len(all) == 0 || len(names) > 0 && len(failed) > 0 {
		return &setupError{errors.Join(failed...)}
	}
	var rows []lockedRow
	err = lock.Update(file, func(f *lock.File) error {
		rows = nil
		for _, l := range all {
			row, err := record(f, l, len(names) > 0)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			rows = append(rows, row)
		}
		if len(names) != 1 {
			return nil
		}
		if err := c.apply(f, names[0]); err != nil || !c.reach {
			return err
		}
		reached, err := a.reached(ctx, cfg, f, names[0])
		if err != nil {
			return err
		}
		return lockChange{use: c.use, endpoints: reached}.apply(f, names[0])
	})
	if err != nil {
		return &setupError{err}
	}
	return a.printLocked(cfg, file, rows, failed)
}

// named gives the installed plugins of the names, or all.
func named(c *plugin.Catalog, names []string) ([]plugin.Binary, error) {
	found, problems := c.List()
	for _, name := range names {
		if !slices.ContainsFunc(found, func(b plugin.Binary) bool { return b.Provider == name }) {
			_, err := c.Find(name, "")
			return nil, &hinted{err, "keyway plugin list shows the plugins that there are"}
		}
	}
	if len(names) > 0 {
		found = slices.DeleteFunc(found, func(b plugin.Binary) bool { return !slices.Contains(names, b.Provider) })
	}
	if len(found) == 0 {
		return nil, errors.Join(append(problems, sdk.Errorf(sdk.NotFound, "there is no plugin in the plugin folder; keyway plugin install puts one there"))...)
	}
	return found, nil
}

func look(ctx context.Context, c *plugin.Catalog, b plugin.Binary) (toLock, error) {
	v, err := c.Verify(ctx, b)
	if err != nil {
		return toLock{}, err
	}
	defer v.Close()
	m, err := c.DescribeVerified(ctx, v)
	return toLock{m, v.Image.Digest()}, err
}

// lockedRow is one version that was written.
type lockedRow struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	Replaced string `json:"replaced_digest,omitempty"`
}

// record writes one version; other bytes than before only where that is accepted.
func record(f *lock.File, l toLock, accept bool) (lockedRow, error) {
	m := l.manifest
	row := lockedRow{Name: m.Name, Version: m.Version, Digest: l.digest.String()}
	if was := f.Plugins[m.Name].Versions[m.Version].Digests[plugin.Platform]; was != "" && was != row.Digest {
		if !accept {
			return row, sdk.Errorf(sdk.FailedPrecondition, "lock plugin %q version %s: its bytes are %s, and the lock file has %s; keyway plugin lock %s accepts them",
				m.Name, m.Version, row.Digest, was, m.Name)
		}
		row.Replaced = was
	}
	install.Record(f, m, l.digest)
	return row, nil
}

// apply changes which version of a plugin is used and what it may reach.
func (c lockChange) apply(f *lock.File, name string) error {
	p := f.Plugins[name]
	if c.use != "" {
		v, ok := p.Versions[c.use]
		if !ok {
			return sdk.Errorf(sdk.NotFound, "lock plugin %q: version %s is not installed; keyway plugin install puts it there", name, c.use)
		}
		v.Bad = ""
		p.Use, p.Versions[c.use] = c.use, v
	}
	for number, v := range p.Versions {
		if len(c.endpoints) > 0 && (c.use == "" || c.use == number) {
			v.Endpoints = slices.Compact(slices.Sorted(slices.Values(append(v.Endpoints, c.endpoints...))))
			p.Versions[number] = v
		}
	}
	f.Plugins[name] = p
	return nil
}

func (a *app) printLocked(cfg *config.Config, file string, rows []lockedRow, failed []error) error {
	a.adviseLock(cfg)
	for _, err := range failed {
		a.say("%v", err)
	}
	err := a.print(map[string]any{"lock": file, "plugins": rows}, func(w io.Writer) {
		for _, r := range rows {
			note := ""
			if r.Replaced != "" {
				note = "was " + r.Replaced
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Version, r.Digest, note)
		}
		fmt.Fprintf(w, "locked in %s\n", filepath.Base(file))
	})
	if err == nil && len(failed) > 0 {
		return &someError{len(failed), len(failed) + len(rows)}
	}
	return err
}
