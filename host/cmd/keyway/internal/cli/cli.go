// Package cli is keyway's command line: one file a command. Results go to standard output, as text or with -o json;
// messages to standard error. A secret's value is written only where somebody asked for it, and never to a terminal
// unless with --reveal.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host/audit"
)

// app is one run of the program.
type app struct {
	version  string
	in       io.Reader
	out, err io.Writer
	tty      bool // out is a terminal
	inTTY    bool // in is a terminal
	errTTY   bool // err is one

	configFile string
	format     string
	logLevel   string
	pluginDir  string
	socket     string
	timeout    time.Duration
}

// Main runs the command line and gives the exit code: 0 done, 1 a bug, 2 usage or configuration, 3 not found, 4 denied,
// 5 unavailable or throttled, 6 conflict, 7 some of many failed. The command run gives its program's, or 125.
func Main(version string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	a := &app{version: version, in: os.Stdin, out: os.Stdout, err: os.Stderr, tty: isTerminal(os.Stdout), inTTY: isTerminal(os.Stdin), errTTY: isTerminal(os.Stderr)}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(audit.WithOrigin(ctx, audit.Origin{Actor: caller()}))
	return a.finish(cmd.Name() == "run", err)
}

// caller is who runs this program, for the audit.
func caller() audit.Actor {
	a := audit.Actor{Kind: audit.Command, PID: os.Getpid()}
	if uid := os.Getuid(); uid >= 0 { // -1 where users have no numbers
		number := uint32(uid) //nolint:gosec // 32 bits where there are any
		a.UID = &number
	}
	return a
}

// endings are the signals that end a command in good order. One that we were started to ignore (nohup) stays ignored.
func endings() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

func isTerminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()) }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "keyway",
		Short:         "Secrets for gateways, from any secret manager",
		Version:       a.version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.format != "text" && a.format != "json" {
				return fmt.Errorf("-o must be text or json, not %q", a.format)
			}
			_, err := a.level()
			return err
		},
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.CompletionOptions.HiddenDefaultCmd = false
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "", "configuration file (default $KEYWAY_CONFIG, else keyway.yaml)")
	flags.StringVarP(&a.format, "format", "o", "text", "form of the results and errors: text or json")
	flags.StringVar(&a.logLevel, "log-level", "warn", "what to log on standard error: debug, info, warn or error")
	flags.StringVar(&a.pluginDir, "plugin-dir", "", "folder of the plugins (default $KEYWAY_PLUGIN_DIR, else the configuration's plugins.dir, else this program's)")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "most time that everything may take, not counting the program of run")
	root.AddCommand(a.serveCommand(), a.statusCommand(), a.reloadCommand(), a.runCommand(), a.getCommand(), a.putCommand(), a.deleteCommand(), a.restoreCommand(), a.listCommand(), a.versionsCommand(),
		a.rotateCommand(), a.migrateCommand(), a.resolveCommand(), a.storesCommand(), a.pluginCommand(), a.configCommand(), a.doctorCommand(), a.versionCommand())
	return root
}

// action adapts a command's function: what it returns is a failure of the command, anything else that cobra returns is one of its
// usage. The context ends with --timeout.
func (a *app) action(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		defer cancel()
		if err := f(ctx, args); err != nil {
			return &failure{err}
		}
		return nil
	}
}

func (a *app) json() bool { return a.format == "json" }

// say writes a message for the operator, one line.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, "keyway: %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the program's version", Args: cobra.NoArgs,
		RunE: a.action(func(context.Context, []string) error {
			return a.print(map[string]any{"version": a.version, "contract": "keyway.plugin.v1"}, func(w io.Writer) {
				fmt.Fprintf(w, "keyway %s, plugin contract keyway.plugin.v1\n", a.version)
			})
		})}
}
