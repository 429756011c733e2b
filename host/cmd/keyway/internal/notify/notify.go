// Package notify tells systemd how the service is. Where no systemd asks, nothing happens.
package notify

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager that the environment names (NOTIFY_SOCKET).
type Notifier struct{ Logger *slog.Logger }

// Ready tells that the service answers; status is for people.
func (n Notifier) Ready(status string) { n.send(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Reloading tells that the configuration is read anew; Ready ends it.
func (n Notifier) Reloading() { n.send(daemon.SdNotifyReloading + monotonic()) }

// Stopping tells that the service ends in good order.
func (n Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

func (n Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.Logger.Warn("the service manager cannot be told", "error", err)
	}
}

// Watch tells the watchdog, twice in the time that it allows (WATCHDOG_USEC), that the service is alive, for as long as alive
// returns: one that hangs is restarted. It returns when ctx ends, or at once where there is no watchdog.
func (n Notifier) Watch(ctx context.Context, alive func()) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.Logger.Warn("the watchdog is not told", "error", err)
	}
	if every <= 0 {
		return
	}
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		alive()
		n.send(daemon.SdNotifyWatchdog)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
