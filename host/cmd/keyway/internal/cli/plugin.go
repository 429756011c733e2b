package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) pluginCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plugin", Short: "The installed plugins", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the plugins in the plugin folder", Args: cobra.NoArgs,
			RunE: a.action(func(ctx context.Context, _ []string) error { return a.pluginList(ctx) })},
		&cobra.Command{Use: "describe NAME|FILE", Short: "Tell what a plugin says of itself, its settings above all", Args: cobra.ExactArgs(1),
			RunE: a.action(func(ctx context.Context, args []string) error { return a.pluginDescribe(ctx, args[0]) })},
		a.pluginInstallCommand(), a.pluginLockCommand(), a.pluginVerifyCommand(),
		a.pluginStatusCommand(), a.pluginSwapCommand(), a.pluginRollbackCommand(),
	)
	return cmd
}

// installed gives the catalog of the configuration, if there is one; a broken configuration does not hide the plugins.
func (a *app) installed() (*plugin.Catalog, *config.Config) {
	cfg, err := a.configIfAny()
	if err != nil {
		a.logger().Warn("the configuration is not used", "error", err)
		cfg = nil
	}
	return a.catalog(cfg), cfg
}

func (a *app) pluginList(ctx context.Context) error {
	catalog, cfg := a.installed()
	found, problems := catalog.List()
	if len(found) == 0 && len(problems) > 0 {
		return &setupError{errors.Join(problems...)}
	}
	rows := judgeAll(ctx, catalog, a.lockedPlugins(cfg), found)
	bad := 0
	for _, r := range rows {
		if r.Error != "" {
			bad++
		}
	}
	err := a.print(map[string]any{"folder": a.pluginFolder(cfg), "plugins": rows}, func(w io.Writer) {
		fmt.Fprintln(w, "PLUGIN\tVERSION\tDIGEST\tLOCKED\tSIGNER\tCAN\tFILE")
		for _, r := range rows {
			can := strings.Join(r.Capabilities, " ")
			if r.Error != "" {
				can = "ERROR " + r.Error
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, dash(r.Version), dash(short(r.Digest)), r.Locked, dash(r.Signer), can, filepath.Base(r.Path))
		}
	})
	for _, p := range problems {
		a.say("%v", p)
	}
	if err == nil && bad > 0 {
		return &someError{bad, len(found)}
	}
	return err
}

func (a *app) pluginDescribe(ctx context.Context, name string) error {
	catalog, cfg := a.installed()
	if strings.ContainsAny(name, `/\`) {
		catalog, name = a.elsewhere(cfg, filepath.Dir(name)), filepath.Base(name)
	}
	b, err := find(catalog, name)
	if err != nil {
		return &setupError{err}
	}
	m, err := catalog.Describe(ctx, b)
	if err != nil {
		return &setupError{err}
	}
	return a.print(m, func(w io.Writer) { writeManifest(w, m) })
}

// elsewhere gives the catalog of a folder that a file was named in. The lock file is of the plugin folder's files only.
func (a *app) elsewhere(cfg *config.Config, folder string) *plugin.Catalog {
	o := a.pluginOptions(cfg)
	if abs, err := filepath.Abs(folder); err != nil || abs != o.Dir {
		o.Dir, o.Lock, o.Unlocked = folder, "", plugin.WarnUnlocked
	}
	return plugin.NewCatalog(o)
}

// find takes the name of a provider, or of a file, "vault-1.2.0".
func find(c *plugin.Catalog, name string) (plugin.Binary, error) {
	all, _ := c.List()
	for _, b := range all {
		if filepath.Base(b.Path) == name {
			return b, nil
		}
	}
	b, err := c.Find(name, "")
	if err != nil {
		return b, &hinted{err, "keyway plugin list shows the plugins that there are"}
	}
	return b, nil
}

func writeManifest(w io.Writer, m sdk.Manifest) {
	fmt.Fprintf(w, "name\t%s\nversion\t%s\nsummary\t%s\ndocs\t%s\nsdk\t%s\nnetwork\t%s\ncan\t%s\n", m.Name, m.Version, dash(m.Summary), dash(m.Docs),
		dash(m.SDK), dash(m.Network), strings.Join(m.Capabilities, " "))
	for _, k := range slices.Sorted(maps.Keys(m.Compat)) {
		fmt.Fprintf(w, "compat %s\t%s\n", k, m.Compat[k])
	}
	fmt.Fprintln(w, "\nSETTING\tTYPE\tREQUIRED\tMEANING")
	var s settingSchema
	if json.Unmarshal(m.Schema, &s) == nil {
		writeSettings(w, s, "")
	}
}

// settingSchema is as much of a settings schema as a table shows.
type settingSchema struct {
	Type        string                   `json:"type"`
	Description string                   `json:"description"`
	WriteOnly   bool                     `json:"writeOnly"`
	Default     json.RawMessage          `json:"default"`
	Required    []string                 `json:"required"`
	Properties  map[string]settingSchema `json:"properties"`
}

func writeSettings(w io.Writer, s settingSchema, path string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		kind, required := p.Type, "no"
		if p.WriteOnly {
			kind = "secret"
		}
		if slices.Contains(s.Required, name) {
			required = "yes"
		}
		meaning := p.Description
		if len(p.Default) > 0 {
			meaning += " Default: " + string(p.Default)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", path+name, kind, required, meaning)
		writeSettings(w, p, path+name+".")
	}
}
