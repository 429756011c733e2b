package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) pluginSwapCommand() *cobra.Command {
	var r httpapi.SwapRequest
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "swap NAME VERSION|FILE",
		Short: "Replace a plugin of the keyway serve that runs, without a failed call",
		Long: `Puts another version in the place of a plugin that serves: a version of the plugin folder, or a
file (a name with a slash). The new one is verified, started and opened beside the one that serves;
what was read lately is compared; then the stores go over. What goes wrong before leaves everything
as it was. Afterwards the new one is watched, and rolled back by itself if it fails where the former
one does not.

The lock file is rewritten, unless --ephemeral is given; a file can only be swapped in so.`,
		Args: cobra.ExactArgs(2),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.Stores, "stores", nil, "only these stores, or all (default all)")
	flags.DurationVar(&watch, "watch", 0, "how long it may be rolled back by itself; 0s: not (default 15m)")
	flags.BoolVar(&r.DryRun, "dry-run", false, "everything up to the change, and then stop the new one")
	flags.BoolVar(&r.Ephemeral, "ephemeral", false, "leave the lock file alone: the next start runs what it says")
	a.socketFlag(cmd)
	cmd.RunE = a.longAction(func(ctx context.Context, args []string) error {
		if flags.Changed("watch") {
			r.Watch = watch.String()
		}
		if len(r.Stores) == 1 && r.Stores[0] == "all" {
			r.Stores = nil
		}
		return a.swap(ctx, args[0], args[1], r)
	})
	return cmd
}

func (a *app) swap(ctx context.Context, name, to string, r httpapi.SwapRequest) error {
	r.Version = to
	if strings.ContainsAny(to, `/\`) {
		file, err := filepath.Abs(to) // the service has a working folder of its own
		if err != nil {
			return sdk.Errorf(sdk.InvalidArgument, "swap %s: %w", name, err)
		}
		r.Version, r.File = "", file
	}
	return a.change(ctx, "/v1/plugins/"+url.PathEscape(name)+"/swap", r)
}

func (a *app) pluginRollbackCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rollback NAME", Short: "Undo the last swap of a plugin", Args: cobra.ExactArgs(1)}
	a.socketFlag(cmd)
	cmd.RunE = a.longAction(func(ctx context.Context, args []string) error {
		return a.change(ctx, "/v1/plugins/"+url.PathEscape(args[0])+"/rollback", nil)
	})
	return cmd
}

func (a *app) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the keyway serve that runs read its configuration and lock file anew",
		Long: `The service reads its own configuration and lock file anew and changes over to them, plugins
included, as SIGHUP has it do. What is wrong with them changes nothing, and is told here.`,
		Args: cobra.NoArgs,
	}
	a.socketFlag(cmd)
	cmd.RunE = a.longAction(func(ctx context.Context, _ []string) error { return a.change(ctx, "/v1/reload", nil) })
	return cmd
}

// change asks for a change and prints its steps as they happen: as lines for people, or as lines of JSON. A failure is told as
// every other error is.
func (a *app) change(ctx context.Context, path string, in any) error {
	return a.client().change(ctx, path, in, func(s httpapi.Step) {
		switch {
		case a.json():
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(s)
		case s.Step != httpapi.Failed:
			fmt.Fprintln(a.out, strings.TrimSpace(fmt.Sprintf("%-8s %s", s.Step, s.Text)))
		}
	})
}

// longAction is action without a limit of time, unless --timeout is given: a change takes as long as it does.
func (a *app) longAction(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	bounded := a.action(f)
	return func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("timeout") {
			return bounded(cmd, args)
		}
		if err := f(cmd.Context(), args); err != nil {
			return &failure{err}
		}
		return nil
	}
}
