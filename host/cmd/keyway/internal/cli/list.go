package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/sdk"
)

type metaJSON struct {
	Name        string            `json:"name"`
	Version     string            `json:"version,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Created     *time.Time        `json:"created,omitempty"`
	Updated     *time.Time        `json:"updated,omitempty"`
	Expires     *time.Time        `json:"expires,omitempty"`
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list STORE [PREFIX]",
		Short: "List the secrets whose names begin with a prefix, without their values",
		Args:  cobra.RangeArgs(1, 2),
		RunE: a.action(func(ctx context.Context, args []string) error {
			return a.list(ctx, args[0], strings.Join(args[1:], ""))
		}),
	}
}

func (a *app) list(ctx context.Context, store, prefix string) error {
	h, st, err := a.openStore(ctx, store)
	if err != nil {
		return err
	}
	defer a.shut(h)
	items := []metaJSON{}
	for m, err := range st.List(ctx, prefix) {
		if err != nil {
			return err
		}
		items = append(items, metaJSON{Name: m.Name, Version: m.Version, Description: m.Description, Labels: m.Labels,
			Created: timeJSON(m.Created), Updated: timeJSON(m.Updated), Expires: timeJSON(m.Expires)})
	}
	return a.print(map[string]any{"store": store, "secrets": items}, func(w io.Writer) {
		for _, m := range items {
			fmt.Fprintf(w, "%s\t%s", m.Name, dash(m.Version))
			if m.Description != "" {
				fmt.Fprintf(w, "\t%s", m.Description)
			}
			fmt.Fprintln(w)
		}
	})
}

type versionJSON struct {
	Version string     `json:"version"`
	Current bool       `json:"current"`
	State   string     `json:"state"`
	Aliases []string   `json:"aliases,omitempty"`
	Created *time.Time `json:"created,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (a *app) versionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "versions STORE NAME",
		Short: "List the versions of a secret, newest first",
		Args:  cobra.ExactArgs(2),
		RunE: a.action(func(ctx context.Context, args []string) error {
			return a.versions(ctx, args[0], args[1])
		}),
	}
}

func (a *app) versions(ctx context.Context, store, name string) error {
	h, st, err := a.openStore(ctx, store)
	if err != nil {
		return err
	}
	defer a.shut(h)
	var found []sdk.Version
	out := []versionJSON{}
	for v, err := range st.Versions(ctx, name) {
		if err != nil {
			return err
		}
		found = append(found, v)
		out = append(out, versionJSON{v.Version, v.Current, v.State.String(), v.Aliases, timeJSON(v.Created), timeJSON(v.Expires)})
	}
	return a.print(map[string]any{"store": store, "name": name, "versions": out}, func(w io.Writer) {
		for _, v := range found {
			current := "-"
			if v.Current {
				current = "current"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s", v.Version, v.State, current, date(v.Created))
			if len(v.Aliases) > 0 {
				fmt.Fprintf(w, "\t%s", strings.Join(v.Aliases, ","))
			}
			fmt.Fprintln(w)
		}
	})
}
