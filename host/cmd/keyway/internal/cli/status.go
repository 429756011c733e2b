package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/httpapi"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Tell how the keyway serve that runs is: its stores and plugins", Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.status(ctx) })}
	a.socketFlag(cmd)
	return cmd
}

func (a *app) status(ctx context.Context) error {
	var s httpapi.Status
	if err := a.client().call(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
		return err
	}
	return a.print(s, func(w io.Writer) { writeStatus(w, s) })
}

func writeStatus(w io.Writer, s httpapi.Status) {
	fmt.Fprintf(w, "%s\tkeyway %s, pid %d, up %s, %s\n", strings.ReplaceAll(s.State, "_", " "), dash(s.Version), s.PID, up(s.Since), drift(s.Drift))
	if s.Reason != "" {
		fmt.Fprintf(w, "\t%s\n", s.Reason)
	}
	serving := map[string]string{}
	for _, p := range s.Plugins {
		for _, name := range p.Stores {
			serving[name] = " " + p.Version
		}
	}
	fmt.Fprintln(w, "STORE\tPROVIDER\tSTATE\tNOTES")
	for _, st := range s.Stores {
		var notes []string
		if st.Required {
			notes = append(notes, "required")
		}
		if st.Error != "" {
			notes = append(notes, st.Error)
		}
		fmt.Fprintf(w, "%s\t%s%s g%d\t%s\t%s\n", st.Name, st.Provider, serving[st.Name], st.Generation, st.State, strings.Join(notes, "; "))
	}
}

func drift(plugins []string) string {
	if len(plugins) == 0 {
		return "no drift"
	}
	return "drift: " + strings.Join(plugins, ", ")
}

// up is how long ago a moment was, in two units at most.
func up(since string) string {
	t, err := time.Parse(time.RFC3339, since)
	if err != nil {
		return "-"
	}
	const day = 24 * time.Hour
	d := max(0, time.Since(t))
	if d >= day {
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	}
	return d.Round(time.Second).String()
}

func (a *app) pluginStatusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Tell which plugins run in the keyway serve that runs, and how they are confined", Args: cobra.NoArgs,
		RunE: a.action(func(ctx context.Context, _ []string) error { return a.pluginStatus(ctx) })}
	a.socketFlag(cmd)
	return cmd
}

func (a *app) pluginStatus(ctx context.Context) error {
	var plugins []httpapi.Plugin
	if err := a.client().call(ctx, http.MethodGet, "/v1/plugins", nil, &plugins); err != nil {
		return err
	}
	return a.print(map[string]any{"plugins": plugins}, func(w io.Writer) {
		fmt.Fprintln(w, "PLUGIN\tSTATE\tPID\tRESTARTS\tCELL\tSTORES\tNETWORK\tSANDBOX\tDIGEST")
		for _, p := range plugins {
			fmt.Fprintf(w, "%s %s g%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", p.Provider, p.Version, p.Generation, p.State, p.PID, p.Restarts, dash(p.Cell),
				dash(strings.Join(p.Stores, " ")), dash(p.Network), dash(strings.Join(p.Sandbox, ", ")), dash(short(p.Digest)))
		}
		for _, p := range plugins {
			writePluginNotes(w, p)
		}
	})
}

// writePluginNotes tells what is out of the ordinary about one plugin.
func writePluginNotes(w io.Writer, p httpapi.Plugin) {
	note := func(format string, args ...any) {
		fmt.Fprintf(w, "  %s: %s\n", p.Provider, fmt.Sprintf(format, args...))
	}
	if p.Drift {
		note("it is not what the lock file says")
	}
	for _, m := range p.Missing {
		note("not confined by %s", m)
	}
	if p.Refused > 0 {
		note("%d connections refused, %d made", p.Refused, p.Dials)
	}
	if p.Error != "" {
		note("last error: %s", p.Error)
	}
	for _, e := range p.History {
		note("earlier: %s", e)
	}
}

// short is a digest as people compare it.
func short(digest string) string {
	const shown = len("sha256:") + 12
	if len(digest) <= shown {
		return digest
	}
	return digest[:shown] + "…"
}
