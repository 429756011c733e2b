package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox/internal/attempt"
)

// row is one attempt in the three columns of the table. A column has the reason for its failure, and is empty where the
// attempt worked.
type row struct {
	Name, Confined, Unconfined, Host string
	Tried                            bool // by the host, while the confined process did the same
}

// actTable prints the table of the user that it runs as.
func actTable() error {
	h, err := newHost(os.Getenv("PROBE"))
	if err != nil {
		return err
	}
	defer h.close()
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	theirs, err := h.targets(filepath.Join(dir, "a"))
	if err != nil {
		return err
	}
	mine, err := h.targets(filepath.Join(dir, "b"))
	if err != nil {
		return err
	}
	var rows []row
	for _, a := range attempt.All() {
		if a.Root && os.Getuid() != 0 {
			continue
		}
		r, err := h.row(a, theirs, mine)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		rows = append(rows, r)
	}
	return json.NewEncoder(os.Stdout).Encode(rows)
}

func (h *host) row(a attempt.Attempt, theirs, mine attempt.Targets) (row, error) {
	r := row{Name: a.Name, Tried: a.Host}
	p, err := h.start(confined(theirs), sandbox.Kernel(), theirs, a.Name)
	if err != nil {
		return r, err
	}
	if a.Host {
		if err := a.Do(mine); err != nil {
			r.Host = err.Error()
		}
	}
	if r.Confined, err = p.outcome(); err != nil {
		return r, err
	}
	r.Unconfined, err = h.try(sandbox.Policy{Mode: sandbox.Off}, sandbox.Kernel(), theirs, a.Name)
	return r, err
}

// refusals are how the kernel says no, as opposed to an attempt that failed for want of something.
var refusals = []string{"operation not permitted", "permission denied", "function not implemented", "cannot allocate memory",
	"file too large", "invalid cross-device link", "signal: file size limit exceeded"}

func refusedBy(reason string) bool {
	for _, r := range refusals {
		if strings.Contains(reason, r) {
			return true
		}
	}
	return false
}

func TestAConfinedProcessCanDoNothingThatAnUnconfinedOneCan(t *testing.T) {
	users := []int{os.Getuid()}
	if os.Getuid() == 0 {
		users = append(users, nobody)
	}
	for _, uid := range users {
		t.Run(fmt.Sprintf("user %d", uid), func(t *testing.T) {
			var rows []row
			if err := json.Unmarshal(asHost(t, "table", uid), &rows); err != nil {
				t.Fatal(err)
			}
			if len(rows) < 35 {
				t.Errorf("%d attempts, want at least 35", len(rows))
			}
			t.Logf("\n%-50s %-12s %-12s %-10s %s", "attempt", "confined", "unconfined", "host", "the kernel's answer to the confined one")
			for _, r := range rows {
				r.check(t)
			}
		})
	}
}

func (r row) check(t *testing.T) {
	t.Helper()
	host := "-"
	if r.Tried {
		host = word(r.Host)
	}
	t.Logf("%-50s %-12s %-12s %-10s %s", r.Name, word(r.Confined), word(r.Unconfined), host, r.Confined)
	switch {
	case r.Confined == "":
		t.Errorf("%s: a confined process could, want that it is refused", r.Name)
	case !refusedBy(r.Confined):
		t.Errorf("%s: a confined process failed for another reason than a refusal: %s", r.Name, r.Confined)
	}
	if r.Unconfined != "" {
		t.Errorf("%s: an unconfined process could not (%s), so the attempt proves nothing", r.Name, r.Unconfined)
	}
	if r.Host != "" {
		t.Errorf("%s: the host could not while a confined process ran: %s", r.Name, r.Host)
	}
}

func word(reason string) string {
	if reason == "" {
		return "works"
	}
	return "refused"
}
