package notify

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time that Type=notify-reload wants beside RELOADING=1.
func monotonic() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return ""
	}
	return fmt.Sprintf("\nMONOTONIC_USEC=%d", time.Duration(now.Nano()).Microseconds())
}
