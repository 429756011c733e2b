package retryafter

import (
	"net/http"
	"testing"
	"time"
)

func TestSecondsAndDatesAreReadAndNothingElse(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "1.5": 0, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := Of(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Of(%q) = %v, want %v", text, got, want)
		}
	}
}
