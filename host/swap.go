package host

import (
	"context"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// Swap asks for another version of one provider's plugin.
type Swap struct {
	Plugin    string        `json:"plugin"`              // the provider
	Version   string        `json:"version,omitempty"`   // a version in the plugin folder; empty where File is given
	File      string        `json:"file,omitempty"`      // a binary elsewhere
	Stores    []string      `json:"stores,omitempty"`    // those that change over; empty: all of the provider
	Watch     time.Duration `json:"watch,omitempty"`     // how long it may still be rolled back by itself; 0: 15 minutes, negative: not
	DryRun    bool          `json:"dry_run,omitempty"`   // everything up to the flip
	Ephemeral bool          `json:"ephemeral,omitempty"` // leave the lock file alone
}

// SwapStep is one step of a swap as it happens.
type SwapStep struct {
	Time time.Time `json:"time"`
	Step string    `json:"step"`           // verify, start, open, compare, flip, lock, watch, rollback, done, failed
	Text string    `json:"text"`           // for people, one line
	Code string    `json:"code,omitempty"` // of failed
}

// Swap replaces the plugin that serves a provider's stores.
func (h *Host) Swap(ctx context.Context, s Swap, progress func(SwapStep)) error {
	return sdk.Errorf(sdk.Unimplemented, "swap")
}

// Rollback undoes the last swap of a provider.
func (h *Host) Rollback(ctx context.Context, provider string, progress func(SwapStep)) error {
	return sdk.Errorf(sdk.Unimplemented, "rollback")
}

// Reload changes over to another configuration and lock file.
func (h *Host) Reload(ctx context.Context, cfg *config.Config, progress func(SwapStep)) error {
	return sdk.Errorf(sdk.Unimplemented, "reload")
}
