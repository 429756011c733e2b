package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/cmd/keyway/internal/launch"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// copyMark stands in the arguments for the path of the private copy.
const copyMark = "{config}"

type runOptions struct {
	litellm string
	env     []string
	verbose bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [--litellm CONFIG] [--env NAME=REFERENCE]… -- PROGRAM [ARGUMENT…]",
		Short: "Start a program with secrets in its environment",
		Long: `Starts a program with secrets in its environment, hands on signals and ends with its exit code.

Every variable whose value is a reference (OPENAI_API_KEY=secret://prod/openai), or holds one in ${…},
arrives resolved; --env adds more. With --litellm, so does everything that LiteLLM's configuration
refers to, and {config} in the arguments becomes the path of a private copy of it without the secret
manager:

  keyway run --litellm config.yaml -- litellm --config {config}

If anything that is required cannot be resolved, all of it is named and the program is not started:
exit code 125. Variables that hold credentials of the stores themselves are not handed on.`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringVar(&o.litellm, "litellm", "", "LiteLLM's config.yaml")
	flags.StringArrayVar(&o.env, "env", nil, "NAME=REFERENCE, or NAME=text with ${REFERENCE}; may be repeated")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "tell what was resolved, by which plugin, in what time")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, cleanup, err := a.prepare(cmd.Context(), o, args)
		defer cleanup()
		if err != nil {
			return &failure{err}
		}
		code, err := launch.Run(p)
		if err != nil {
			return &failure{err}
		}
		return exitStatus(code)
	}
	return cmd
}

// prepare resolves everything and writes the private copy. The plugins end when the program has started, which so need not wait
// for them. cleanup, which is never nil, ends them where it has not, and removes the copy.
func (a *app) prepare(ctx context.Context, o runOptions, args []string) (p launch.Program, cleanup func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	cleanup = func() {}
	begin := time.Now()
	wanted, err := a.wants(o, args)
	if err != nil {
		return p, cleanup, err
	}
	cfg, err := a.configIfAny()
	if err != nil {
		return p, cleanup, err
	}
	var t *litellm.Translation
	if o.litellm != "" {
		if t, err = a.translate(ctx, cfg, o.litellm); err != nil {
			return p, cleanup, err
		}
		for _, n := range t.Notes {
			a.say("note: %s", n)
		}
		wanted.addAll(t)
	}
	if cfg, err = a.effective(cfg, t, wanted); err != nil {
		return p, cleanup, err
	}
	values, summary, stop, err := a.resolveAll(ctx, cfg, wanted)
	if err != nil {
		return p, stop, err
	}
	if o.verbose {
		a.say("%d references resolved in %d ms%s", len(values), time.Since(begin).Milliseconds(), summary)
	}
	p = launch.Program{Args: slices.Clone(args), Env: environment(os.Environ(), cfg, t, values), Started: stop}
	if t == nil {
		return p, stop, nil
	}
	file, remove, err := privateCopy(t, values)
	cleanup = func() { stop(); remove() }
	for i := range p.Args {
		p.Args[i] = strings.ReplaceAll(p.Args[i], copyMark, file)
	}
	return p, cleanup, err
}

// wants collects what the command line and the environment ask for.
func (a *app) wants(o runOptions, args []string) (*wanted, error) {
	w := newWanted()
	hasMark := slices.ContainsFunc(args, func(s string) bool { return strings.Contains(s, copyMark) })
	switch {
	case o.litellm != "" && !hasMark:
		return nil, sdk.Errorf(sdk.InvalidArgument, "run: none of the program's arguments has %s in it, so it would not get the copy of %s", copyMark, o.litellm)
	case o.litellm == "" && hasMark:
		return nil, sdk.Errorf(sdk.InvalidArgument, "run: %s in the arguments needs --litellm", copyMark)
	}
	var failed []error
	for _, kv := range o.env {
		name, text, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			failed = append(failed, sdk.Errorf(sdk.InvalidArgument, "run: --env takes NAME=REFERENCE"))
			continue
		}
		if err := w.add(name, text, "--env "+name, true); err != nil {
			failed = append(failed, err)
		}
	}
	for _, kv := range os.Environ() {
		name, text, _ := strings.Cut(kv, "=")
		if !w.has(name) && isReference(text) {
			if err := w.add(name, text, "environment variable "+name, true); err != nil {
				failed = append(failed, err)
			}
		}
	}
	return w, errors.Join(failed...)
}

// isReference tells a variable's text that we resolve. LiteLLM's own forms are left to LiteLLM.
func isReference(text string) bool {
	if strings.HasPrefix(text, "secret://") || strings.HasPrefix(text, "decrypt://") {
		return true
	}
	if refs.Is(text) {
		return false
	}
	parts, err := refs.Split(text)
	return err != nil || slices.ContainsFunc(parts, func(p refs.Part) bool { return p.Ref != nil })
}

// effective is the configuration that the wanted references need.
func (a *app) effective(base *config.Config, t *litellm.Translation, w *wanted) (*config.Config, error) {
	var err error
	cfg := base
	if t != nil {
		if cfg, err = combine(base, t, a.pluginFolder(base)); err != nil {
			return nil, err
		}
	}
	if cfg == nil {
		cfg = &config.Config{Version: 1, Plugins: config.Plugins{Dir: a.pluginFolder(nil)}}
	}
	var stores []string
	var failed []error
	for _, x := range w.list {
		found, err := storesOf(cfg, x.parts)
		if err != nil {
			failed = append(failed, sdk.Errorf(sdk.InvalidArgument, "%s (%s): %w", x.name, strings.Join(x.places, ", "), err))
		}
		stores = append(stores, found...)
	}
	return only(cfg, stores...), errors.Join(failed...)
}

// resolveAll reads everything that is wanted. stop, which is never nil, ends the host that it took; it may be called again.
func (a *app) resolveAll(ctx context.Context, cfg *config.Config, w *wanted) (values map[string]sdk.Sensitive, summary string, stop func(), err error) {
	stop = func() {}
	if len(w.list) == 0 {
		return nil, "", stop, nil
	}
	h, err := a.open(ctx, cfg, host.WithEnviron(w.environ))
	if err != nil {
		return nil, "", stop, err
	}
	stop = sync.OnceFunc(func() { a.shut(h) })
	if values, err = w.resolve(ctx, h, cfg); err != nil {
		return nil, "", stop, err
	}
	for _, x := range w.list {
		v, ok := values[x.name]
		if text := strings.ToLower(strings.TrimSpace(string(v.Reveal()))); ok && x.litellm && (text == "true" || text == "false") {
			a.say("note: LiteLLM makes the text of %s a boolean (%s)", x.name, x.places[0])
		}
	}
	for _, p := range h.Plugins() {
		summary += fmt.Sprintf("; plugin %s %s pid %d", p.Provider, p.Version, p.PID)
	}
	return values, summary, stop, nil
}

// environment is ours without the stores' own credentials, with LiteLLM's literals and the values.
func environment(own []string, cfg *config.Config, t *litellm.Translation, values map[string]sdk.Sensitive) []string {
	drop := envCredentials(cfg)
	literals := map[string]string{}
	if t != nil {
		drop = append(drop, t.Withheld...)
		literals = t.Environment
	}
	var env []string
	for _, kv := range own {
		name, _, _ := strings.Cut(kv, "=")
		_, literal := literals[name]
		if _, resolved := values[name]; !resolved && !literal && !slices.Contains(drop, name) {
			env = append(env, kv)
		}
	}
	for name, text := range literals {
		if _, resolved := values[name]; !resolved {
			env = append(env, name+"="+text)
		}
	}
	for name, v := range values {
		env = append(env, name+"="+string(v.Reveal()))
	}
	slices.Sort(env)
	return env
}

// privateCopy writes the copy of LiteLLM's configuration into a new folder that only we can enter, in memory where there is such a
// place. cleanup removes it.
func privateCopy(t *litellm.Translation, values map[string]sdk.Sensitive) (file string, cleanup func(), err error) {
	for _, parent := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm", os.TempDir()} {
		var dir string
		if parent == "" || !filepath.IsAbs(parent) {
			continue
		}
		if dir, err = os.MkdirTemp(parent, "keyway-"); err != nil {
			continue
		}
		cleanup = func() { _ = os.RemoveAll(dir) }
		file, err = t.WriteCopy(dir, values)
		return file, cleanup, err
	}
	return "", func() {}, sdk.Errorf(sdk.Unavailable, "there is no place for the private copy: %w", err)
}
