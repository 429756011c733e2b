package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/host/httpapi"
)

// ask runs keyway beside the service, and gives what it printed and its exit code.
func (s *service) ask(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), s.program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, []string{}, &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// buildBank builds another version of the plugin bank.
func buildBank(t *testing.T, file, version string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version="+version, "-o", file, "./testdata/bank")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// reading reads one secret over and over until the returned function is called, which tells how many reads failed.
func (s *service) reading(t *testing.T, path string) (stop func() (reads int, failed []string)) {
	t.Helper()
	ended, done := make(chan struct{}), make(chan struct{})
	reads := 0
	var failed []string
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			default:
			}
			reads++
			if status, body, err := s.get(t.Context(), path); err != nil || status != http.StatusOK {
				failed = append(failed, body)
			}
		}
	}()
	return func() (int, []string) {
		close(ended)
		<-done
		return reads, failed
	}
}

func TestASwapAndItsRollbackAreToldStepByStepAndFailNoRead(t *testing.T) {
	s := start(t, nil)
	buildBank(t, filepath.Join(s.dir, "new"), "1.3.0")
	stop := s.reading(t, "/v1/stores/bank/secret?name=a")

	out, errs, code := s.ask(t, "plugin", "swap", "bank", "./new", "--ephemeral")
	if code != 0 {
		t.Fatalf("swap: exit code %d\n%s%s", code, out, errs)
	}
	var steps []string
	for line := range strings.Lines(out) {
		step, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.TrimSpace(text) == "" && step != httpapi.Done {
			t.Errorf("the step %q says nothing", step)
		}
		steps = append(steps, step)
	}
	if len(steps) < 3 || steps[0] != "verify" || steps[len(steps)-1] != httpapi.Done || !slices.Contains(steps, "flip") {
		t.Errorf("steps %q, want verify … flip … done", steps)
	}
	if out, _, _ := s.ask(t, "status"); !strings.Contains(out, "bank 1.3.0") {
		t.Errorf("the status after the swap does not show 1.3.0:\n%s", out)
	}

	out, errs, code = s.ask(t, "-o", "json", "plugin", "rollback", "bank")
	if code != 0 {
		t.Fatalf("rollback: exit code %d\n%s%s", code, out, errs)
	}
	var last httpapi.Step
	for line := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%q is no step: %v", line, err)
		}
	}
	if last.Step != httpapi.Done {
		t.Errorf("the last step is %+v, want done", last)
	}
	if out, _, _ := s.ask(t, "status"); !strings.Contains(out, "bank 1.2.3") {
		t.Errorf("the status after the rollback does not show 1.2.3:\n%s", out)
	}
	if reads, failed := stop(); reads == 0 || len(failed) > 0 {
		t.Errorf("%d of %d reads failed: %.3q", len(failed), reads, failed)
	}
}

func TestASwapThatIsRefusedChangesNothing(t *testing.T) {
	s := start(t, nil)
	if err := os.WriteFile(filepath.Join(s.dir, "text"), []byte("no program"), 0o755); err != nil { //nolint:gosec // it is to look like one
		t.Fatal(err)
	}
	before, _, _ := s.ask(t, "plugin", "status")
	for name, x := range map[string]struct {
		args []string
		says string
	}{
		"a file that is no plugin": {[]string{"bank", "./text", "--ephemeral"}, "text"},
		"a version that is not":    {[]string{"bank", "9.9.9", "--ephemeral"}, "9.9.9"},
		"a store that is not":      {[]string{"bank", "1.2.3", "--stores", "other"}, "other"},
		"a plugin that is not":     {[]string{"other", "1.2.3"}, "other"},
	} {
		out, errs, code := s.ask(t, append([]string{"plugin", "swap"}, x.args...)...)
		if code == 0 || !strings.Contains(errs, x.says) || strings.Contains(out, httpapi.Done) {
			t.Errorf("%s: exit code %d, want a refusal that says %q:\n%s%s", name, code, x.says, out, errs)
		}
	}
	if after, _, _ := s.ask(t, "plugin", "status"); after != before {
		t.Errorf("the plugins were\n%s\nand are\n%s", before, after)
	}
}
