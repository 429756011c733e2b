package plugin

import "github.com/keyway-dev/keyway/host/config"

// Configured gives the options that a configuration has; those of the process are the caller's to add.
func Configured(cfg *config.Config) Options {
	p := cfg.Plugins
	out := Options{Dir: cfg.PluginDir(), Lock: cfg.LockFile(), Unlocked: Unlocked(p.Unlocked), Trust: p.Trust, Sandbox: p.Sandbox,
		Allow: map[string]Allowance{}}
	for provider, a := range p.Allow {
		out.Allow[provider] = Allowance{Network: a.Network, Read: absolute(cfg, a.Read), Execute: absolute(cfg, a.Execute), Memory: a.Memory}
	}
	return out
}

func absolute(cfg *config.Config, paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = cfg.Abs(p)
	}
	return out
}
