package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "The configuration file", Args: cobra.NoArgs, RunE: needsSubcommand}
	var online bool
	check := &cobra.Command{Use: "check", Short: "Report every problem of the configuration at its line", Args: cobra.NoArgs}
	check.Flags().BoolVar(&online, "online", false, "also start the plugins and log in at every backend")
	check.RunE = a.action(func(ctx context.Context, _ []string) error { return a.configCheck(ctx, online) })

	var from string
	convert := &cobra.Command{Use: "convert --litellm FILE", Short: "Print the keyway.yaml that a LiteLLM configuration and its environment mean", Args: cobra.NoArgs}
	convert.Flags().StringVar(&from, "litellm", "", "LiteLLM's config.yaml")
	_ = convert.MarkFlagRequired("litellm")
	convert.RunE = a.action(func(ctx context.Context, _ []string) error { return a.configConvert(ctx, from) })

	cmd.AddCommand(check, convert,
		&cobra.Command{Use: "schema", Short: "Print the JSON Schema of keyway.yaml, for editors", Args: cobra.NoArgs,
			RunE: a.action(func(context.Context, []string) error {
				_, err := fmt.Fprintf(a.out, "%s\n", strings.TrimSpace(string(config.Schema())))
				return err
			})})
	return cmd
}

func (a *app) configCheck(ctx context.Context, online bool) error {
	cfg, err := a.configToCheck()
	if cfg == nil {
		return err
	}
	if err := a.checkAll(ctx, cfg, err); err != nil {
		return err
	}
	if online {
		return a.storesCheck(ctx, nil)
	}
	return a.print(map[string]any{"file": cfg.File, "ok": true, "stores": len(cfg.Stores)}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is correct; its stores: %s\n", cfg.File, dash(strings.Join(sortedStores(cfg), ", ")))
	})
}

// checkAll adds the faults of the stores' settings to those that were found in the file, if any: what could not be read needs
// no second complaint.
func (a *app) checkAll(ctx context.Context, cfg *config.Config, inFile error) error {
	var found, more *config.Error
	if !errors.As(a.checkSettings(ctx, cfg), &more) {
		return inFile
	}
	if !errors.As(inFile, &found) {
		return more
	}
	problems := slices.Clone(found.Problems)
	for _, p := range more.Problems {
		if !slices.ContainsFunc(found.Problems, func(q config.Problem) bool { return q.Path == p.Path }) {
			problems = append(problems, p)
		}
	}
	return config.NewError(problems...)
}

// checkSettings holds the settings of every store against what its plugin says of itself. The plugins are described, not
// started: nothing is opened and nothing is sent.
func (a *app) checkSettings(ctx context.Context, cfg *config.Config) error {
	catalog := a.catalog(cfg)
	var problems []config.Problem
	for _, name := range sortedStores(cfg) {
		s := cfg.Stores[name]
		b, err := catalog.Find(s.Provider, s.Version)
		var m sdk.Manifest
		if err == nil {
			m, err = catalog.Describe(ctx, b)
		}
		if err != nil {
			problems = append(problems, cfg.Problem(config.Path("stores", name, "provider"), "%v", err))
			continue
		}
		problems = append(problems, cfg.CheckSettings(name, config.SchemaOf(m))...)
	}
	return config.NewError(problems...)
}

func (a *app) configConvert(ctx context.Context, file string) error {
	base, err := a.configIfAny()
	if err != nil {
		return err
	}
	t, err := a.translate(ctx, base, file)
	if err != nil {
		return err
	}
	text, err := t.Config.YAML()
	if err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# What %s means, with the variables that are set now.\n", file)
	for _, n := range t.Notes {
		fmt.Fprintf(&out, "# %s\n", n)
	}
	out.Write(text)
	if a.json() {
		return writeJSON(a.out, map[string]any{"config": string(text), "notes": append([]string{}, t.Notes...)})
	}
	_, err = io.WriteString(a.out, out.String())
	return err
}

// translate reads LiteLLM's configuration with the manifests of the installed plugins, if it names a manager. A plugin that does
// not describe itself is told of, since the manager may be just that one.
func (a *app) translate(ctx context.Context, base *config.Config, file string) (*litellm.Translation, error) {
	if !litellm.NamesManager(file, os.Environ()) {
		return litellm.Load(file, os.Environ(), nil)
	}
	_, all, failed := describeAll(ctx, a.catalog(base))
	var manifests []sdk.Manifest
	for i, err := range failed {
		if err == nil {
			manifests = append(manifests, all[i])
		}
	}
	t, err := litellm.Load(file, os.Environ(), manifests)
	if err != nil {
		return nil, errors.Join(append([]error{err}, failed...)...)
	}
	return t, nil
}

// combine adds LiteLLM's store to the operator's own configuration. One of the two may say what os.environ/NAME means.
func combine(base *config.Config, t *litellm.Translation, folder string) (*config.Config, error) {
	if base == nil {
		c := *t.Config
		c.Plugins.Dir = folder
		return &c, nil
	}
	if len(t.Config.Stores) == 0 {
		return base, nil
	}
	for name := range t.Config.Stores {
		if _, ok := base.Stores[name]; ok {
			return nil, config.NewError(base.Problem(config.Path("stores", name), "%s names a secret manager, which needs this store's name; rename the store, or take the manager out of %s", t.Config.File, t.Config.File))
		}
	}
	if base.References.DefaultStore != "" && t.Config.References.DefaultStore != "" {
		return nil, config.NewError(base.Problem("references.default_store", "%s names a secret manager, which answers os.environ/NAME too; remove one of the two", t.Config.File))
	}
	c := *base
	c.Stores = maps.Clone(base.Stores)
	if c.Stores == nil {
		c.Stores = map[string]config.Store{}
	}
	maps.Copy(c.Stores, t.Config.Stores)
	if t.Config.References.DefaultStore != "" {
		c.References = t.Config.References
	}
	c.Sources.Env = allow(base.Sources.Env, t.Withheld)
	return &c, nil
}

// allow adds names to the patterns of variables that may be read; nil stays "all".
func allow(patterns, names []string) []string {
	if patterns == nil {
		return nil
	}
	return append(slices.Clone(patterns), names...)
}
