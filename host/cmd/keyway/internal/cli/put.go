package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/sdk"
)

// valueFlags say where a value to write comes from: never the command line, which every user of the machine can read.
type valueFlags struct {
	file string
	trim bool
}

func (f *valueFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "file", "", "read the value from this file (default: standard input)")
	cmd.Flags().BoolVar(&f.trim, "trim", false, "take one line break off the end of the value, as echo and editors leave it")
}

func (a *app) putCommand() *cobra.Command {
	var from valueFlags
	var absent bool
	var version, pointer string
	r := sdk.PutRequest{}
	cmd := &cobra.Command{
		Use:   "put STORE NAME",
		Short: "Write a secret; its value comes from standard input or a file",
		Long: `Writes a secret: keyway put prod openai < key.txt

The value is taken byte for byte, 1 byte to 1 MiB. Description and labels are given to a secret that
this creates; one that exists keeps its own.

With --pointer it is one member of a JSON document, and the rest of the document stays as it is:
keyway put prod openai --pointer /key < key.txt`,
		Args: cobra.ExactArgs(2),
	}
	from.register(cmd)
	cmd.Flags().BoolVar(&absent, "if-absent", false, "only create: fail when the secret exists")
	cmd.Flags().StringVar(&version, "if-version", "", "only while this version is the current one")
	cmd.Flags().StringVar(&pointer, "pointer", "", "JSON pointer of the member to write in a JSON document, such as /key")
	cmd.Flags().StringVar(&r.Description, "description", "", "what the secret is for")
	cmd.Flags().StringToStringVar(&r.Labels, "label", nil, "NAME=VALUE to file it under; may be repeated")
	cmd.MarkFlagsMutuallyExclusive("if-absent", "if-version")
	cmd.RunE = a.action(func(ctx context.Context, args []string) error {
		switch {
		case absent:
			r.If = sdk.IfAbsent()
		case version != "":
			r.If = sdk.IfVersion(version)
		}
		r.Name = args[1]
		return a.put(ctx, args[0], pointer, r, from)
	})
	return cmd
}

func (a *app) put(ctx context.Context, store, pointer string, r sdk.PutRequest, from valueFlags) error {
	if err := sdk.CheckName(r.Name); err != nil {
		return err
	}
	value, err := a.readValue(from)
	if err != nil {
		return err
	}
	h, st, err := a.openStore(ctx, store)
	if err != nil {
		return err
	}
	defer a.shut(h)
	r.Value, r.IdempotencyKey = value, rand.Text()+rand.Text()
	write := st.Put
	if pointer != "" {
		write = func(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) { return st.PutAt(ctx, pointer, r) }
	}
	done, err := write(ctx, r)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"store": store, "name": r.Name, "version": done.Version}, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s in %s, version %s\n", r.Name, store, dash(done.Version))
	})
}

// readValue reads the value to write, and refuses one that no store takes before anything is started.
func (a *app) readValue(f valueFlags) (sdk.Sensitive, error) {
	in, name := a.in, "standard input"
	switch {
	case f.file != "":
		file, err := os.Open(f.file)
		if err != nil {
			return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "read the value: %w", err)
		}
		defer file.Close()
		in, name = file, f.file
	case a.inTTY:
		return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "read the value: standard input is a terminal, which would show what you type; use a pipe or --file")
	}
	raw, err := io.ReadAll(io.LimitReader(in, sdk.MaxValue+3)) // room for a line break that --trim takes off
	if err != nil {
		return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "read the value: %w", err)
	}
	if f.trim {
		raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	} else if bytes.HasSuffix(raw, []byte("\n")) {
		a.say("the value from %s ends in a line break, which is kept; --trim takes it off", name)
	}
	value := sdk.NewSensitive(raw)
	if len(raw) > sdk.MaxValue {
		return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "the value from %s is over the limit of %d bytes", name, sdk.MaxValue)
	}
	if err := sdk.CheckValue(value); err != nil {
		return sdk.Sensitive{}, err
	}
	return value, nil
}

func (a *app) rotateCommand() *cobra.Command {
	var from valueFlags
	cmd := &cobra.Command{
		Use:   "rotate STORE NAME",
		Short: "Write a new value of a secret that exists, and read it back",
		Args:  cobra.ExactArgs(2),
	}
	from.register(cmd)
	cmd.RunE = a.action(func(ctx context.Context, args []string) error { return a.rotate(ctx, args[0], args[1], from) })
	return cmd
}

func (a *app) rotate(ctx context.Context, store, name string, from valueFlags) error {
	value, err := a.readValue(from)
	if err != nil {
		return err
	}
	h, st, err := a.openStore(ctx, store)
	if err != nil {
		return err
	}
	defer a.shut(h)
	v, err := st.Rotate(ctx, name, value)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"store": store, "name": name, "version": v.Version}, func(w io.Writer) {
		fmt.Fprintf(w, "rotated %s in %s, version %s, and read it back\n", name, store, dash(v.Version))
	})
}
