package sdktest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const examplePlugin = "github.com/keyway-dev/keyway/sdk/example/plugin"

func TestExampleBinaryKeepsEveryPromise(t *testing.T) {
	plugin := Start(t, Build(t, examplePlugin))
	settings := []byte(`{"denied":["kwtest/denied"]}`)
	store, err := plugin.Open(t.Context(), "main~1", settings)
	if err != nil {
		t.Fatal(err)
	}
	target := &Target{Plugin: plugin, Settings: settings, Store: store, Scratch: "kwtest/", Denied: "kwtest/denied"}
	Run(t, target)
}

func TestBuildCompilesOnceForAProcess(t *testing.T) {
	first := Build(t, examplePlugin)
	info, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.Stat(Build(t, examplePlugin))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(info, again) || !info.ModTime().Equal(again.ModTime()) {
		t.Error("the second Build made another binary")
	}
}

// recorder is a testing.TB that fails and logs into memory.
type recorder struct {
	testing.TB
	failed   bool
	text     strings.Builder
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) Failed() bool { return r.failed }

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Logf(format string, args ...any) { r.printf(format, args...) }

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	r.printf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) printf(format string, args ...any) {
	r.text.WriteString(strings.TrimSpace(fmt.Sprintf(format, args...)) + "\n")
}

// starting starts a program that is no plugin, and gives what the test would have printed.
func starting(t *testing.T, binary string, args ...string) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		Start(r, binary, args...)
	}()
	<-done
	if !r.failed {
		t.Errorf("Start(%q): no failure", binary)
	}
	return r.text.String()
}

func TestStartOfWhatIsNoPluginFailsAndShowsItsStderr(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	got := starting(t, sh, "-c", "echo the reason why >&2; exit 3")
	if !strings.Contains(got, "the reason why") {
		t.Errorf("the failure does not show stderr:\n%s", got)
	}
}

func TestStartOfWhatDoesNotExistFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no-such-plugin")
	if got := starting(t, missing); !strings.Contains(got, "no-such-plugin") {
		t.Errorf("the failure does not name the binary:\n%s", got)
	}
}

func TestProcessThatOutlivesItsStdinIsKilledAndFails(t *testing.T) {
	p := newProcess(exec.Command("sleep", "600"))
	p.grace = 10 * time.Millisecond
	if err := p.prepare(nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.Wait(t.Context()) }()
	r := &recorder{TB: t}
	p.stop(r)
	if !r.failed {
		t.Error("stop of a process that does not end: no failure")
	}
	if p.cmd.ProcessState == nil {
		t.Error("stop left the process running")
	}
}
