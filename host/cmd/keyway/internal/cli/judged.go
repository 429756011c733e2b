package cli

import (
	"context"
	"errors"
	"sync"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
)

// How a plugin stands in the lock file.
const (
	lockedInUse   = "use"     // its version is the one that stores run
	lockedYes     = "yes"     // another version
	lockedNo      = "no"      // not at all
	lockedBad     = "bad"     // it must not run
	lockedDiffers = "differs" // with other bytes
)

// judged is what became of verifying and describing one plugin file.
type judged struct {
	Name         string   `json:"name"`
	Version      string   `json:"version,omitempty"`
	Path         string   `json:"path"`
	Digest       string   `json:"digest,omitempty"`
	Locked       string   `json:"locked"`
	Signer       string   `json:"signer,omitempty"`
	Summary      string   `json:"summary,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	LiteLLM      string   `json:"litellm_system,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	Error        string   `json:"error,omitempty"`
}

// judgeAll verifies and describes plugins side by side.
func judgeAll(ctx context.Context, c *plugin.Catalog, locked *lock.File, found []plugin.Binary) []judged {
	rows := make([]judged, len(found))
	var wg sync.WaitGroup
	for i, b := range found {
		wg.Go(func() { rows[i] = judge(ctx, c, locked, b) })
	}
	wg.Wait()
	return rows
}

func judge(ctx context.Context, c *plugin.Catalog, locked *lock.File, b plugin.Binary) judged {
	r := judged{Name: b.Provider, Version: b.Version, Path: b.Path, Locked: lockedNo}
	v, err := c.Verify(ctx, b)
	if err != nil {
		r.Error, r.Locked = err.Error(), refusedBy(err)
		return r
	}
	defer v.Close()
	r.Digest, r.Signer = v.Image.Digest().String(), v.Signer
	for _, w := range v.Warnings {
		r.Warnings = append(r.Warnings, w.Error())
	}
	if m, err := c.DescribeVerified(ctx, v); err != nil {
		r.Error = err.Error()
	} else {
		r.Name, r.Version, r.Summary, r.Capabilities, r.LiteLLM = m.Name, m.Version, m.Summary, m.Capabilities, m.Compat["litellm.system"]
	}
	if v.Locked != nil {
		r.Locked = lockedYes
		if locked.Plugins[r.Name].Use == r.Version {
			r.Locked = lockedInUse
		}
	}
	return r
}

// refusedBy tells from an error how the plugin stands in the lock file.
func refusedBy(err error) string {
	switch {
	case errors.Is(err, plugin.ErrBad):
		return lockedBad
	case errors.Is(err, plugin.ErrDigest):
		return lockedDiffers
	}
	return lockedNo
}

// lockedPlugins reads the configuration's lock file; one that cannot be read locks nothing here, and each plugin's own
// verification tells why.
func (a *app) lockedPlugins(cfg *config.Config) *lock.File {
	if cfg == nil || cfg.LockFile() == "" {
		return new(lock.File)
	}
	f, err := lock.Load(cfg.LockFile())
	if err != nil {
		return new(lock.File)
	}
	return f
}
