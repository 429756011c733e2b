package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/sdk"
)

const maxTemplate = 16 << 20 // bytes of a file to resolve

func (a *app) resolveCommand() *cobra.Command {
	var reveal bool
	var output string
	cmd := &cobra.Command{
		Use:   "resolve FILE",
		Short: "Print a YAML, JSON or text file with its references replaced by their values",
		Long: `Prints the file with every reference replaced. In YAML and JSON (by the name's end) a text that is a
reference is replaced as a whole; there and in any other file ${secret://…} is replaced wherever it
stands. When one reference fails, nothing is printed.

The outcome goes to --output, readable by its owner alone, or to standard output; to a terminal only
with --reveal.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&reveal, "reveal", false, "print to a terminal too")
	cmd.Flags().StringVar(&output, "output", "", "write this file instead, mode 0600")
	cmd.RunE = a.action(func(ctx context.Context, args []string) error { return a.resolve(ctx, args[0], output, reveal) })
	return cmd
}

func (a *app) resolve(ctx context.Context, file, output string, reveal bool) error {
	if output == "" && a.tty && !reveal {
		return sdk.Errorf(sdk.InvalidArgument, "resolve %s: the values are not shown on a terminal; use a pipe, --output FILE or --reveal", file)
	}
	data, err := readTemplate(file)
	if err != nil {
		return err
	}
	t, err := parseTemplate(file, data)
	if err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	stores, err := t.stores(cfg)
	if err != nil {
		return sdk.Errorf(sdk.InvalidArgument, "resolve %s: %w", file, err)
	}
	h, err := a.open(ctx, only(cfg, stores...))
	if err != nil {
		return err
	}
	defer a.shut(h)
	done, err := t.fill(ctx, h)
	if err != nil {
		return err
	}
	if output == "" {
		_, err := a.out.Write(done)
		return err
	}
	if err := writePrivate(output, done); err != nil {
		return sdk.Errorf(sdk.InvalidArgument, "resolve %s: %w", file, err)
	}
	return a.print(map[string]any{"file": output, "references": len(t.texts)}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s with %d references resolved\n", output, len(t.texts))
	})
}

func readTemplate(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "resolve: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err == nil && len(data) > maxTemplate {
		err = fmt.Errorf("it is over the limit of %d bytes", maxTemplate)
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "resolve %s: %w", file, err)
	}
	return data, nil
}
