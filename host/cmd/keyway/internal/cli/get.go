package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

func (a *app) getCommand() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get REFERENCE",
		Short: "Read the value that a reference names",
		Long: `Reads one value: keyway get secret://prod/openai#/key

Into a pipe or a file the value is written as it is, byte for byte. A terminal gets its size and
version, unless --reveal is given; so does -o json.

With --socket or KEYWAY_SOCKET it is read through the keyway serve that listens there, from what
that holds in memory, and no plugin is started.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show the value on a terminal, or in the JSON")
	a.socketFlag(cmd)
	cmd.RunE = a.action(func(ctx context.Context, args []string) error { return a.get(ctx, args[0], reveal) })
	return cmd
}

func (a *app) get(ctx context.Context, ref string, reveal bool) error {
	parsed, err := refs.Parse(ref)
	if err != nil {
		return err
	}
	v, err := a.read(ctx, ref)
	if sdk.CodeOf(err) == sdk.NotFound && refs.IsSource(parsed.Store) {
		return &hinted{err, whereToLook([]string{parsed.Store})}
	}
	if err != nil {
		return err
	}
	if !a.json() && (reveal || !a.tty) {
		_, err := a.out.Write(v.Reveal())
		return err
	}
	return a.print(valueResult(ref, v, reveal), func(w io.Writer) {
		fmt.Fprintf(w, "%s  version %s%s\n", masked(v.Sensitive), dash(v.Version), staleNote(v))
		a.say("the value is not shown on a terminal; --reveal shows it")
	})
}

// read asks the service that was named, else a host of our own.
func (a *app) read(ctx context.Context, ref string) (*host.Value, error) {
	if a.socketAsked() != "" {
		return a.client().resolve(ctx, ref)
	}
	h, err := a.openFor(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer a.shut(h)
	return h.Resolve(ctx, ref)
}

// openFor opens a host with the stores that one reference asks.
func (a *app) openFor(ctx context.Context, ref string) (*host.Host, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	parts, err := refs.Split(ref)
	if err != nil {
		return nil, err
	}
	stores, err := storesOf(cfg, parts)
	if err != nil {
		return nil, err
	}
	return a.open(ctx, only(cfg, stores...))
}

func valueResult(ref string, v *host.Value, reveal bool) map[string]any {
	out := map[string]any{"reference": ref, "bytes": v.Len(), "stale": v.Stale}
	for key, text := range map[string]string{"store": v.Store, "name": v.Name, "version": v.Version} {
		if text != "" {
			out[key] = text
		}
	}
	if t := timeJSON(v.Expires); t != nil {
		out["expires"] = t
	}
	if reveal {
		valueJSON(out, v.Sensitive)
	}
	return out
}

func staleNote(v *host.Value) string {
	if v.Stale {
		return ", stale: the store could not be asked"
	}
	return ""
}
