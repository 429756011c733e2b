package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

const defaultConfig = "keyway.yaml"

// closeTimeout bounds the end: the contract gives a plugin 2 s.
const closeTimeout = 5 * time.Second

// configPath gives the configuration file, and whether somebody asked for it.
func (a *app) configPath() (file string, asked bool) {
	if a.configFile != "" {
		return a.configFile, true
	}
	if file := os.Getenv("KEYWAY_CONFIG"); file != "" {
		return file, true
	}
	return defaultConfig, false
}

// config loads the configuration.
func (a *app) config() (*config.Config, error) {
	cfg, err := a.configToCheck()
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// configToCheck loads the configuration, and beside the error gives what could be read of it: as config.Load.
func (a *app) configToCheck() (*config.Config, error) {
	file, asked := a.configPath()
	cfg, err := config.Load(file)
	if _, missing := os.Stat(file); err != nil && errors.Is(missing, fs.ErrNotExist) && !asked {
		return nil, sdk.Errorf(sdk.InvalidArgument, "there is no %s here; write one (keyway config schema tells the keys), or name it with --config", file)
	}
	if dir := a.pluginsAsked(); dir != "" && cfg != nil {
		cfg.Plugins.Dir = dir
	}
	return cfg, err
}

// configIfAny is config, or nil where there is no file and nobody asked for one.
func (a *app) configIfAny() (*config.Config, error) {
	file, asked := a.configPath()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && !asked {
		return nil, nil
	}
	return a.config()
}

// pluginsAsked gives the folder that the operator named on the command line or in the environment.
func (a *app) pluginsAsked() string {
	dir := a.pluginDir
	if dir == "" {
		dir = os.Getenv("KEYWAY_PLUGIN_DIR")
	}
	if dir == "" {
		return ""
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// pluginFolder gives the folder of the plugins; without a configuration it is "plugins" beside this program, or the program's own.
func (a *app) pluginFolder(cfg *config.Config) string {
	if dir := a.pluginsAsked(); dir != "" {
		return dir
	}
	if cfg != nil {
		return cfg.PluginDir()
	}
	program, err := os.Executable()
	if err != nil {
		return "plugins"
	}
	beside := filepath.Join(filepath.Dir(program), "plugins")
	if info, err := os.Stat(beside); err == nil && info.IsDir() {
		return beside
	}
	return filepath.Dir(program)
}

func (a *app) catalog(cfg *config.Config) *plugin.Catalog {
	return plugin.NewCatalog(a.pluginOptions(cfg))
}

// pluginOptions is what the configuration, if there is one, says of plugins.
func (a *app) pluginOptions(cfg *config.Config) plugin.Options {
	var o plugin.Options
	if cfg != nil {
		o = plugin.Configured(cfg)
	}
	o.Dir, o.Logger = a.pluginFolder(cfg), a.logger()
	return o
}

// lockFile gives the lock file of the configuration; where that names none it is keyway.lock beside it.
func (a *app) lockFile(cfg *config.Config) string {
	if cfg != nil && cfg.LockFile() != "" {
		return cfg.LockFile()
	}
	file, _ := a.configPath()
	path := filepath.Join(filepath.Dir(file), "keyway.lock")
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func (a *app) level() (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(a.logLevel)); err != nil {
		return l, fmt.Errorf("--log-level must be debug, info, warn or error, not %q", a.logLevel)
	}
	return l, nil
}

func (a *app) logger() *slog.Logger {
	l, err := a.level()
	if err != nil {
		l = slog.LevelWarn
	}
	opts := &slog.HandlerOptions{Level: l}
	if a.json() {
		return slog.New(slog.NewJSONHandler(a.err, opts))
	}
	return slog.New(slog.NewTextHandler(a.err, opts))
}

// open opens a host for the configuration.
func (a *app) open(ctx context.Context, cfg *config.Config, opts ...host.Option) (*host.Host, error) {
	h, err := host.Open(ctx, cfg, append([]host.Option{host.WithLogger(a.logger())}, opts...)...)
	if err != nil {
		return nil, &setupError{err}
	}
	return h, nil
}

// shut closes a host, within bounds of its own: it has work to do after an interrupt too.
func (a *app) shut(h *host.Host) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		a.logger().Warn("a plugin did not stop cleanly", "error", err)
	}
}

// openStore opens a host with one store and what that needs, so that a command on it neither starts nor waits for others.
func (a *app) openStore(ctx context.Context, name string) (*host.Host, *host.Store, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	if _, ok := cfg.Stores[name]; !ok {
		return nil, nil, unknownStore(cfg, name)
	}
	h, err := a.open(ctx, only(cfg, name))
	if err != nil {
		return nil, nil, err
	}
	st, err := h.Store(name)
	if err != nil {
		a.shut(h)
		return nil, nil, err
	}
	return h, st, nil
}

func unknownStore(cfg *config.Config, name string) error {
	file := cfg.File
	if file == "" {
		file = "the configuration"
	}
	return sdk.Errorf(sdk.InvalidArgument, "there is no store %q in %s; it has %s", name, file, storeNames(cfg))
}

func storeNames(cfg *config.Config) string {
	names := sortedStores(cfg)
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", names)
}

func sortedStores(cfg *config.Config) []string {
	var names []string
	for n := range cfg.Stores {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// only gives the configuration with the named stores and those that they need, to open and to read.
func only(cfg *config.Config, names ...string) *config.Config {
	c := *cfg
	c.Stores = map[string]config.Store{}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		st, ok := cfg.Stores[name]
		if _, have := c.Stores[name]; have || !ok {
			continue
		}
		c.Stores[name] = st
		names = append(append(names, cfg.Needs(name)...), st.CiphertextFrom)
	}
	if _, ok := c.Stores[c.References.DefaultStore]; !ok {
		c.References = config.References{}
	}
	return &c
}

// storesOf gives the stores that references ask.
func storesOf(cfg *config.Config, parts []refs.Part) (names []string, err error) {
	for _, p := range parts {
		switch {
		case p.Ref == nil || p.Ref.Kind == refs.OIDC || refs.IsSource(p.Ref.Store):
		case p.Ref.Kind == refs.Environ:
			names = append(names, cfg.References.DefaultStore)
		default:
			if _, ok := cfg.Stores[p.Ref.Store]; !ok {
				return nil, sdk.Errorf(sdk.InvalidArgument, "%s: %w", p.Ref, unknownStore(cfg, p.Ref.Store))
			}
			names = append(names, p.Ref.Store)
		}
	}
	return names, nil
}

// describeAll gives the manifests of all plugins, side by side, with the errors of those that do not describe themselves.
func describeAll(ctx context.Context, c *plugin.Catalog) (found []plugin.Binary, manifests []sdk.Manifest, failed []error) {
	found, _ = c.List()
	manifests, failed = make([]sdk.Manifest, len(found)), make([]error, len(found))
	var wg sync.WaitGroup
	for i, b := range found {
		wg.Go(func() { manifests[i], failed[i] = c.Describe(ctx, b) })
	}
	wg.Wait()
	return found, manifests, failed
}
