package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host"
)

func (a *app) migrateCommand() *cobra.Command {
	var m host.Migration
	cmd := &cobra.Command{
		Use:   "migrate STORE[/PREFIX] STORE[/PREFIX]",
		Short: "Copy secrets from one store to another, and read each back",
		Long: `Copies the current values of all secrets of a store whose names begin with the prefix, to names in
which the second prefix stands for the first:

  keyway migrate old/gateway/ prod/team-a/

Each secret is written and read back past every cache before it counts. What is there already with
the same value is left alone, so a migration that was cut short is resumed by the same command.
What is there with another value fails, unless --replace is given. The source keeps everything.

As JSON it is a line for each secret, and one with the counts.`,
		Args: cobra.ExactArgs(2),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&m.Names, "name", nil, "only this secret of the source; may be repeated (default all that it lists)")
	flags.BoolVar(&m.Replace, "replace", false, "replace what is there with another value")
	flags.BoolVar(&m.NoLabels, "no-labels", false, "leave description and labels behind, where the destination cannot hold them")
	flags.BoolVar(&m.DryRun, "dry-run", false, "read and compare, and write nothing")
	cmd.RunE = a.longAction(func(ctx context.Context, args []string) error {
		m.From, m.FromPrefix, _ = strings.Cut(args[0], "/")
		m.To, m.ToPrefix, _ = strings.Cut(args[1], "/")
		return a.migrate(ctx, m)
	})
	return cmd
}

func (a *app) migrate(ctx context.Context, m host.Migration) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	for _, name := range []string{m.From, m.To} {
		if _, ok := cfg.Stores[name]; !ok {
			return unknownStore(cfg, name)
		}
	}
	h, err := a.open(ctx, only(cfg, m.From, m.To))
	if err != nil {
		return err
	}
	defer a.shut(h)
	p := a.newProgress()
	report, err := h.Migrate(ctx, m, p.tell)
	p.end()
	if err != nil {
		return err
	}
	if err := a.reportMigration(m, report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return &someError{report.Failed, report.Total}
	}
	return nil
}

func (a *app) reportMigration(m host.Migration, r host.MigrationReport) error {
	if a.json() {
		return a.line(r)
	}
	did := fmt.Sprintf("%d copied", r.Copied)
	if m.DryRun {
		did = fmt.Sprintf("%d would be copied", r.WouldCopy)
	}
	_, err := fmt.Fprintf(a.out, "%d in all: %s, %d there already, %d failed\n", r.Total, did, r.Same, r.Failed)
	return err
}

// line writes a line of JSON.
func (a *app) line(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// progress shows a migration as it goes: a bar on a terminal, what failed in any case, and each secret as JSON.
type progress struct {
	app *app
	bar *progressbar.ProgressBar // nil until the number is known
}

func (a *app) newProgress() *progress { return &progress{app: a} }

func (p *progress) tell(i host.MigrationItem) {
	if p.app.json() {
		out := map[string]any{"name": i.Name, "to": i.To, "state": i.State}
		if i.Err != nil {
			out["error"] = i.Err.Error()
		}
		_ = p.app.line(out)
		return
	}
	if p.bar == nil {
		p.bar = p.app.newBar(i.Total)
	}
	if i.Err != nil {
		_ = p.bar.Clear()
		p.app.say("%s: %v", i.Name, i.Err)
	}
	_ = p.bar.Set(i.Done)
}

func (a *app) newBar(total int) *progressbar.ProgressBar {
	w := a.err
	if !a.errTTY {
		w = io.Discard
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
