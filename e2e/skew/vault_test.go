//go:build e2e && linux

package skew_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
)

func TestAHostOfTheFirstStateDrivesTodaysVault(t *testing.T) {
	srv := openbao.Start(t)
	var settings map[string]any
	raw := srv.Settings(t, map[string]any{"mount": srv.KV(t, 2), "field": "value", "auth": map[string]any{"token": map[string]any{"token": srv.Token}}})
	if err := json.Unmarshal(raw, &settings); err != nil {
		t.Fatal(err)
	}
	_, kept, _ := strings.Cut(drive(t, "../../plugins/vault", settings), "\n")
	const want = "check\nput\nput.if_absent\nput.if_version\nget\nnot found\nget.version\n"
	if !strings.HasPrefix(kept, want) || !strings.HasSuffix(kept, "future field\ndelete\nrestore\nclose\nstranger\nlifeline\n") {
		t.Errorf("kept:\n%s\nwant it to begin with:\n%s", kept, want)
	}
}
