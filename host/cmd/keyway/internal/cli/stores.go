package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) storesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stores", Short: "The stores of the configuration", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the stores; nothing is started", Args: cobra.NoArgs,
			RunE: a.action(func(context.Context, []string) error { return a.storesList() })},
		&cobra.Command{Use: "check [STORE…]", Short: "Log in at the backends and tell as whom, changing nothing",
			RunE: a.action(a.storesCheck)},
		&cobra.Command{Use: "describe STORE", Short: "Tell what a store can do and what it is made of", Args: cobra.ExactArgs(1),
			RunE: a.action(func(ctx context.Context, args []string) error { return a.storesDescribe(ctx, args[0]) })},
	)
	return cmd
}

func needsSubcommand(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("%s needs one of %s", cmd.CommandPath(), strings.Join(names, ", "))
}

func (a *app) storesList() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	type row struct {
		Name     string `json:"name"`
		Provider string `json:"provider"`
		Version  string `json:"version,omitempty"`
		Access   string `json:"access"`
		Required bool   `json:"required"`
		Default  bool   `json:"default"`
	}
	rows := []row{}
	for _, name := range sortedStores(cfg) {
		s := cfg.Stores[name]
		rows = append(rows, row{name, s.Provider, s.Version, s.Access.String(), s.Required, cfg.References.DefaultStore == name})
	}
	return a.print(map[string]any{"stores": rows}, func(w io.Writer) {
		fmt.Fprintln(w, "STORE\tPROVIDER\tVERSION\tACCESS\tNOTES")
		for _, r := range rows {
			var notes []string
			if r.Required {
				notes = append(notes, "required")
			}
			if r.Default {
				notes = append(notes, "answers os.environ/NAME")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, r.Provider, dash(r.Version), r.Access, strings.Join(notes, ", "))
		}
	})
}

type checkResult struct {
	Name     string     `json:"name"`
	OK       bool       `json:"ok"`
	Identity string     `json:"identity,omitempty"`
	Notes    []string   `json:"notes,omitempty"`
	Took     string     `json:"took"`
	Error    *errorJSON `json:"error,omitempty"`
	err      error
}

func (a *app) storesCheck(ctx context.Context, names []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = sortedStores(cfg)
	}
	for _, n := range names {
		if _, ok := cfg.Stores[n]; !ok {
			return unknownStore(cfg, n)
		}
	}
	h, err := a.open(ctx, optional(only(cfg, names...)))
	if err != nil {
		return err
	}
	defer a.shut(h)
	results := checkStores(ctx, h, names)
	if err := a.print(map[string]any{"stores": results}, func(w io.Writer) { writeChecks(w, results) }); err != nil {
		return err
	}
	return failedChecks(results)
}

// optional makes no store required, so that a refusal is a result and does not end the command.
func optional(cfg *config.Config) *config.Config {
	for name, s := range cfg.Stores {
		s.Required = false
		cfg.Stores[name] = s
	}
	return cfg
}

func checkStores(ctx context.Context, h *host.Host, names []string) []checkResult {
	results := make([]checkResult, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			begin := time.Now()
			var report sdk.Report
			st, err := h.Store(name)
			if err == nil {
				report, err = st.Check(ctx)
			}
			r := checkResult{Name: name, OK: err == nil, Identity: report.Identity, Notes: report.Notes, Took: time.Since(begin).Round(100 * time.Microsecond).String(), err: err}
			if err != nil {
				e := one(err)
				e.Hint = hints[sdk.CodeOf(err)]
				r.Error = &e
			}
			results[i] = r
		})
	}
	wg.Wait()
	return results
}

func writeChecks(w io.Writer, results []checkResult) {
	for _, r := range results {
		if r.err != nil {
			fmt.Fprintf(w, "%s\tFAIL\t%s\t%s: %v\n", r.Name, r.Took, sdk.CodeOf(r.err), r.err)
			continue
		}
		fmt.Fprintf(w, "%s\tok\t%s\t%s\n", r.Name, r.Took, strings.Join(append([]string{dash(r.Identity)}, r.Notes...), "; "))
	}
}

// failedChecks gives the one error if all failed in the same way, and otherwise how many did.
func failedChecks(results []checkResult) error {
	var failed []error
	codes := map[sdk.Code]bool{}
	for _, r := range results {
		if r.err != nil {
			failed = append(failed, r.err)
			codes[sdk.CodeOf(r.err)] = true
		}
	}
	switch {
	case len(failed) == 0:
		return nil
	case len(failed) == len(results) && len(codes) == 1:
		return failed[0]
	}
	return &someError{len(failed), len(results)}
}

func (a *app) storesDescribe(ctx context.Context, name string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if _, ok := cfg.Stores[name]; !ok {
		return unknownStore(cfg, name)
	}
	h, err := a.open(ctx, optional(only(cfg, name)))
	if err != nil {
		return err
	}
	defer a.shut(h)
	st, err := h.Store(name)
	if err != nil {
		return err
	}
	can, err := st.Can(ctx)
	if err != nil {
		return err
	}
	c := cfg.Stores[name]
	settings := shown(c.Settings)
	out := map[string]any{"name": name, "provider": c.Provider, "access": c.Access.String(), "capabilities": can.Names(), "settings": settings}
	for _, p := range h.Plugins() {
		if p.Provider == c.Provider {
			out["plugin"] = map[string]any{"version": p.Version, "path": p.Path, "pid": p.PID}
		}
	}
	return a.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "store\t%s\nprovider\t%s\naccess\t%s\ncan\t%s\n", name, c.Provider, c.Access, strings.Join(can.Names(), " "))
		text, _ := yaml.Dump(settings)
		fmt.Fprintf(w, "settings\n%s", text)
	})
}

// shown gives settings as they may be printed. The file holds references, not secrets; the check of the configuration sees
// to that.
func shown(settings map[string]any) map[string]any {
	if settings == nil {
		return map[string]any{}
	}
	return settings
}

// envCredentials gives the variables that hold credentials of the configuration's stores.
func envCredentials(cfg *config.Config) []string {
	var names []string
	for _, s := range cfg.Stores {
		raw, err := json.Marshal(s.Settings)
		var tree any
		if err != nil || json.Unmarshal(raw, &tree) != nil {
			continue
		}
		var texts []string
		textsIn(tree, &texts)
		for _, text := range texts {
			parts, err := refs.Split(text)
			if err != nil {
				continue
			}
			for _, p := range parts {
				if p.Ref != nil && p.Ref.Store == "env" && !slices.Contains(names, p.Ref.Name) {
					names = append(names, p.Ref.Name)
				}
			}
		}
	}
	return names
}
