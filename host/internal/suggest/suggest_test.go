package suggest

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheNearestWordIsSuggestedAndNoFarOne(t *testing.T) {
	words := []string{"provider", "access", "settings", "cache", "limits", "document"}
	for typed, want := range map[string]string{"provder": "provider", "Provider": "provider", "acces": "access", "seting": "settings", "limit": "limits", "cahce": "cache", "x": "", "region": "", "": "", strings.Repeat("p", 100): ""} {
		hint := ""
		if want != "" {
			hint = fmt.Sprintf("; did you mean %q?", want)
		}
		if got := Hint(typed, words); got != hint {
			t.Errorf("Hint(%.20q) = %q, want %q", typed, got, hint)
		}
	}
}
