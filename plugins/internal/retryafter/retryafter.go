// Package retryafter reads how long a server asks its clients to wait.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Of reads the header Retry-After: seconds or a date (RFC 9110, section 10.2.3). Zero: not told, or past.
func Of(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
