package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) deleteCommand() *cobra.Command {
	var r sdk.DeleteRequest
	cmd := &cobra.Command{
		Use:   "delete STORE NAME",
		Short: "Delete a secret, so that it can be restored where the store can do that",
		Args:  cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVar(&r.Purge, "purge", false, "beyond recovery, at once")
	cmd.Flags().DurationVar(&r.RecoveryWindow, "window", 0, "keep it restorable for at least this long (default: the store's own)")
	cmd.MarkFlagsMutuallyExclusive("purge", "window")
	cmd.RunE = a.action(func(ctx context.Context, args []string) error {
		r.Name = args[1]
		return a.delete(ctx, args[0], r)
	})
	return cmd
}

func (a *app) delete(ctx context.Context, store string, r sdk.DeleteRequest) error {
	h, st, err := a.openStore(ctx, store)
	if err != nil {
		return err
	}
	defer a.shut(h)
	done, err := st.Delete(ctx, r)
	if err != nil {
		return err
	}
	out := map[string]any{"store": store, "name": r.Name, "recoverable": done.Recoverable}
	if t := timeJSON(done.Until); t != nil {
		out["until"] = t
	}
	return a.print(out, func(w io.Writer) {
		switch {
		case !done.Recoverable:
			fmt.Fprintf(w, "deleted %s in %s; it cannot be restored\n", r.Name, store)
		case done.Until.IsZero():
			fmt.Fprintf(w, "deleted %s in %s; keyway restore brings it back\n", r.Name, store)
		default:
			fmt.Fprintf(w, "deleted %s in %s; keyway restore brings it back until %s\n", r.Name, store, date(done.Until))
		}
	})
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore STORE NAME",
		Short: "Bring a deleted secret back",
		Args:  cobra.ExactArgs(2),
		RunE: a.action(func(ctx context.Context, args []string) error {
			h, st, err := a.openStore(ctx, args[0])
			if err != nil {
				return err
			}
			defer a.shut(h)
			if err := st.Restore(ctx, args[1]); err != nil {
				return err
			}
			return a.print(map[string]any{"store": args[0], "name": args[1]}, func(w io.Writer) {
				fmt.Fprintf(w, "restored %s in %s\n", args[1], args[0])
			})
		}),
	}
}
