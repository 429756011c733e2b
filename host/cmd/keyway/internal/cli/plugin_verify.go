package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) pluginVerifyCommand() *cobra.Command {
	return &cobra.Command{Use: "verify [NAME…]", Short: "Hold installed plugins against lock file, signatures, permissions and what they say of themselves",
		RunE: a.action(func(ctx context.Context, names []string) error { return a.pluginVerify(ctx, names) })}
}

func (a *app) pluginVerify(ctx context.Context, names []string) error {
	cfg, err := a.configIfAny()
	if err != nil {
		return err
	}
	locked := new(lock.File)
	if cfg != nil && cfg.LockFile() != "" {
		if locked, err = lock.Load(cfg.LockFile()); err != nil {
			return &setupError{err}
		}
	}
	o := a.pluginOptions(cfg)
	if o.Lock == "" {
		o.Unlocked = plugin.WarnUnlocked // who verifies wants to know
	}
	catalog := plugin.NewCatalog(o)
	found, err := named(catalog, names)
	if err != nil {
		return &setupError{err}
	}
	rows := judgeAll(ctx, catalog, locked, found)
	rows = append(rows, notInstalled(locked, names, rows)...)
	failed := 0
	for _, r := range rows {
		if r.Error != "" {
			failed++
		}
		for _, w := range r.Warnings {
			a.say("warning: %s", w)
		}
	}
	err = a.print(map[string]any{"plugins": rows}, func(w io.Writer) {
		fmt.Fprintln(w, "PLUGIN\tVERSION\tDIGEST\tLOCKED\tSIGNER\tRESULT")
		for _, r := range rows {
			result := "ok"
			if r.Error != "" {
				result = r.Error
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, dash(r.Version), dash(short(r.Digest)), r.Locked, dash(r.Signer), result)
		}
	})
	return errors.Join(err, someOf(failed, len(rows)))
}

func someOf(failed, of int) error {
	if failed == 0 {
		return nil
	}
	return &someError{failed, of}
}

// notInstalled tells of versions that stores are to run and that are not installed.
func notInstalled(f *lock.File, names []string, rows []judged) []judged {
	var out []judged
	for _, name := range slices.Sorted(maps.Keys(f.Plugins)) {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		p := f.Plugins[name]
		wanted := slices.Sorted(maps.Values(p.Stores))
		if p.Use != "" {
			wanted = append(wanted, p.Use)
		}
		for _, number := range slices.Compact(slices.Sorted(slices.Values(wanted))) {
			if !slices.ContainsFunc(rows, func(r judged) bool { return r.Name == name && r.Version == number }) {
				err := sdk.Errorf(sdk.NotFound, "verify plugin %q: version %s is locked for use and not installed; keyway plugin install puts it there", name, number)
				out = append(out, judged{Name: name, Version: number, Locked: lockedInUse, Error: err.Error()})
			}
		}
	}
	return out
}
