//go:build linux && (amd64 || arm64)

package serve_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestAPluginThatServesStartsNothingAndListensNowhereElse(t *testing.T) {
	p := start(t)
	store := p.open(t, "{}")
	for _, name := range []string{"execute", "listen"} {
		s, err := store.Get(t.Context(), sdk.GetRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(s.Value.Reveal()); !strings.Contains(got, "operation not permitted") {
			t.Errorf("%s answered %q, want that it is not permitted", name, got)
		}
	}
}

func TestAPluginThatServesIsNamedLikeItsProviderAndFiltered(t *testing.T) {
	p := start(t)
	p.open(t, "{}") // it serves
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Name:\tnoisy\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(string(status), line) {
			t.Errorf("the process's status has no line %q:\n%s", line, status)
		}
	}
}
