package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

type finding struct {
	Check   string `json:"check"`
	State   string `json:"state"` // ok, warn or fail
	Message string `json:"message"`
	Do      string `json:"do,omitempty"`
}

// doctor collects findings.
type doctor struct {
	app      *app
	findings []finding
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "Look for what is wrong with the installation, and tell what to do", Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.doctor(ctx) })}
}

func (a *app) doctor(ctx context.Context) error {
	d := &doctor{app: a}
	d.kernel()
	cfg := d.configuration()
	d.plugins(ctx, cfg)
	if cfg != nil {
		d.keyFiles(cfg)
		d.stores(ctx, cfg)
	}
	failed := 0
	for _, f := range d.findings {
		if f.State == "fail" {
			failed++
		}
	}
	err := a.print(map[string]any{"findings": d.findings}, func(w io.Writer) {
		for _, f := range d.findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.Check, f.Message)
			if f.Do != "" {
				fmt.Fprintf(w, "\t\t-> %s\n", f.Do)
			}
		}
	})
	if err == nil && failed > 0 {
		return &someError{failed, len(d.findings)}
	}
	return err
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "ok", oneLine(format, args), ""})
}

func (d *doctor) warn(check, do, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "warn", oneLine(format, args), do})
}

func (d *doctor) fail(check, do, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "fail", oneLine(format, args), do})
}

func oneLine(format string, args []any) string {
	return strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
}

func (d *doctor) configuration() *config.Config {
	file, asked := d.app.configPath()
	cfg, err := d.app.config()
	if err == nil {
		d.ok("configuration", "%s; its stores: %s", file, dash(strings.Join(sortedStores(cfg), ", ")))
		return cfg
	}
	if _, missing := os.Stat(file); missing != nil && !asked {
		d.warn("configuration", "write one, or name it with --config; keyway config schema tells the keys", "there is no %s here", file)
		return nil
	}
	for _, e := range split(err) {
		d.fail("configuration", "correct this line", "%v", e)
	}
	return nil
}

func (d *doctor) plugins(ctx context.Context, cfg *config.Config) {
	catalog := d.app.catalog(cfg)
	folder := d.app.pluginFolder(cfg)
	_, problems := catalog.List()
	for _, p := range problems {
		if errors.Is(p, plugin.ErrExposed) {
			d.warn("plugin folder", "whoever may write there decides what runs as you", "%v", p)
			continue
		}
		d.fail("plugin folder", "put the plugins there, or name their folder: plugins.dir, or --plugin-dir", "%v", p)
	}
	found, manifests, failed := describeAll(ctx, catalog)
	if len(problems) == 0 {
		d.ok("plugin folder", "%s; plugins: %d", folder, len(found))
	}
	for i, b := range found {
		if failed[i] != nil {
			d.fail("plugin "+b.Provider, "install it anew, or remove the file", "%v", failed[i])
			continue
		}
		d.ok("plugin "+b.Provider, "version %s, %s", manifests[i].Version, manifests[i].SDK)
	}
	if cfg == nil {
		return
	}
	if err := d.app.checkSettings(ctx, cfg); err != nil {
		for _, e := range split(err) {
			d.fail("settings", "keyway plugin describe NAME tells the settings", "%v", e)
		}
	}
}

// keyFiles looks at the modes of the files that hold the stores' own credentials.
func (d *doctor) keyFiles(cfg *config.Config) {
	for _, file := range credentialFiles(cfg) {
		info, err := os.Stat(file)
		const others = 0o077
		switch {
		case err != nil:
			d.fail("key file", "create it, or correct the reference to it", "%v", err)
		case runtime.GOOS != "windows" && info.Mode().Perm()&others != 0:
			d.warn("key file", "chmod 600 "+file, "%s: its mode %v lets others at it", file, info.Mode().Perm())
		default:
			d.ok("key file", "%s is its owner's alone", file)
		}
	}
}

// credentialFiles gives the files that secret://file and secret://cred in the stores' settings mean: the first that is there, or the
// first place where it would be.
func credentialFiles(cfg *config.Config) (files []string) {
	var texts []string
	for _, name := range sortedStores(cfg) {
		textsIn(cfg.Stores[name].Settings, &texts)
	}
	for _, text := range texts {
		parts, err := refs.Split(text)
		if err != nil {
			continue
		}
		for _, p := range parts {
			if p.Ref == nil {
				continue
			}
			switch p.Ref.Store {
			case "cred":
				files = append(files, filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), p.Ref.Name))
			case "file":
				files = append(files, inRoots(cfg, p.Ref.Name))
			}
		}
	}
	return files
}

func inRoots(cfg *config.Config, name string) string {
	first := name
	for i, root := range cfg.Sources.File {
		path := filepath.Join(cfg.Abs(root), name)
		if i == 0 {
			first = path
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return first
}

func (d *doctor) stores(ctx context.Context, cfg *config.Config) {
	if len(cfg.Stores) == 0 {
		return
	}
	h, err := d.app.open(ctx, optional(only(cfg, sortedStores(cfg)...)))
	if err != nil {
		for _, e := range split(err) {
			d.fail("stores", "correct this first", "%v", e)
		}
		return
	}
	defer d.app.shut(h)
	for _, r := range checkStores(ctx, h, sortedStores(cfg)) {
		if r.err != nil {
			d.fail("store "+r.Name, hints[sdk.CodeOf(r.err)], "%s: %v", sdk.CodeOf(r.err), r.err)
			continue
		}
		d.ok("store "+r.Name, "%s", strings.Join(append([]string{dash(r.Identity)}, r.Notes...), "; "))
	}
}
