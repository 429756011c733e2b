package plugin

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/sdk"
)

func TestBadStartIsOneClearError(t *testing.T) {
	for _, c := range []struct {
		mode string
		want error
		says []string
	}{
		{"exit", ErrEnded, []string{"exit status 0", "is it a Keyway plugin?", "nothing to do"}},
		{"crash", ErrEnded, []string{"exit status 2", "panic: no licence file"}},
		{"log-crash", ErrEnded, []string{"exit status 7", "error: cannot load roots path=/etc/roots"}},
		{"describe-crash", ErrEnded, []string{"panic: nil manifest"}},
		{"hang", ErrSlow, []string{"4s"}},
		{"mute", ErrSlow, []string{"4s"}},
		{"babble", ErrSlow, []string{"y | y"}},
		{"contract2", ErrContract, []string{"version 2", "version 1"}},
		{"core2", ErrContract, []string{"version 2", "1"}},
		{"netrpc", ErrContract, []string{"netrpc"}},
		{"tcp", ErrAddress, []string{"127.0.0.1:1"}},
		{"elsewhere", ErrAddress, []string{"private directory"}},
		{"file", ErrAddress, []string{"not a socket"}},
		{"link", ErrAddress, []string{"not a socket"}},
		{"held", ErrAddress, []string{"held by process"}},
		{"misnamed", ErrIdentity, []string{`"other"`}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.mode)
			if c.mode == "link" || c.mode == "held" {
				f.opts.Sandbox = "off" // in the sandbox it could not even try
			}
			if errors.Is(c.want, ErrSlow) {
				f.opts.StartTimeout = 4 * time.Second // it prints before that
			}
			g, err := startOne(t.Context(), t, f.Catalog, f.binary())
			if g != nil {
				g.stop(t.Context(), f.stop)
			}
			wantFault(t, err, sdk.Unavailable, c.want, append(c.says, `plugin "fake"`, f.plugin)...)
		})
	}
}

func TestStartOfAFileThatIsNoProgram(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		code  sdk.Code
		cause error
	}{
		"gone":           {os.Remove, sdk.FailedPrecondition, ErrNotExecutable},
		"empty":          {func(path string) error { return replace(path, "", 0o700) }, sdk.FailedPrecondition, nil},
		"text":           {func(path string) error { return replace(path, "just text\n", 0o700) }, sdk.Unavailable, ErrNotExecutable},
		"no interpreter": {func(path string) error { return replace(path, "#!/no/such/interpreter\n", 0o700) }, sdk.Unavailable, ErrNotExecutable},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "")
			b := f.binary()
			if err := c.spoil(f.plugin); err != nil {
				t.Fatal(err)
			}
			_, err := startOne(t.Context(), t, f.Catalog, b)
			wantFault(t, err, c.code, c.cause, f.plugin)
		})
	}
}

func replace(path, content string, mode os.FileMode) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), mode)
}

func TestStartRefusesItsOwnConditions(t *testing.T) {
	f := newFixture(t, "")
	b := f.binary()
	long := *f.Catalog
	long.opts.RunDir = filepath.Join(f.run, strings.Repeat("d", 60))
	_, err := startOne(t.Context(), t, &long, b)
	wantFault(t, err, sdk.Unavailable, nil, "leaves room for")
	for _, kv := range []string{"NOVALUE", "=x", "A B=c", "PLUGIN_CLIENT_CERT=x", "KEYWAY_PLUGIN=no", "A=b\x00c"} {
		bad := *f.Catalog
		bad.opts.Env = []string{kv}
		_, err := startOne(t.Context(), t, &bad, b)
		wantFault(t, err, sdk.Unavailable, nil, "plugin environment")
	}
}

func TestTheFirstReasonOfAFailedStartIsTold(t *testing.T) {
	late, cancel := context.WithCancel(context.Background())
	cancel()
	g := &Generation{run: newRunner(Binary{}, slog.New(slog.DiscardHandler), &output.Tail{})}
	lost := errors.New("no connection")
	if got := g.reason(t.Context(), lost); !errors.Is(got, lost) {
		t.Errorf("reason of a start without a process: %v, want %v", got, lost)
	}
	if got := g.reason(late, lost); !errors.Is(got, context.Canceled) {
		t.Errorf("reason of a start that was called off: %v, want %v", got, context.Canceled)
	}
	if got := g.reason(late, ErrIdentity); !errors.Is(got, ErrIdentity) {
		t.Errorf("reason of a start of another plugin: %v, want %v", got, ErrIdentity)
	}
	_ = g.run.refuse(ErrContract)
	_ = g.run.refuse(ErrAddress)
	if got := g.reason(late, lost); !errors.Is(got, ErrContract) {
		t.Errorf("reason of a start that was refused twice: %v, want the first, %v", got, ErrContract)
	}
}

func TestNoiseBeforeTheHandshakeIsLogged(t *testing.T) {
	f := newFixture(t, "noise")
	g, err := startOne(t.Context(), t, f.Catalog, f.binary())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	if err := get(t.Context(), g, "s~1", "value"); err != nil {
		t.Errorf("Get after noise: %v", err)
	}
	g.stop(t.Context(), f.stop)
	log := f.log.String()
	for _, want := range []string{`"msg":"hello from a dependency","plugin":"fake","generation":1,"stream":"stdout"`, `"dropped_bytes":299008`} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %s", want)
		}
	}
}

func TestAFloodOfLogLinesHoldsNothingUp(t *testing.T) {
	f := newFixture(t, "flood")
	g, err := startOne(t.Context(), t, f.Catalog, f.binary())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	eventually(t, "the last line is in the tail", func() bool {
		lines := g.tail.Lines()
		return len(lines) > 0 && lines[len(lines)-1] == "line 49999"
	})
	g.stop(t.Context(), f.stop)
	log := f.log.String()
	if n := strings.Count(log, "\n"); n > 25_000 || !strings.Contains(log, "lines were left out") {
		t.Errorf("%d records for 50000 lines, or none that tells how many were left out", n)
	}
}

// wantFault holds an error to its code, its cause and what a person needs to know.
func wantFault(t *testing.T, err error, code sdk.Code, cause error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v (%v)", code, cause)
	}
	if got := sdk.CodeOf(err); got != code {
		t.Errorf("code of %q: %v, want %v", err, got, code)
	}
	if cause != nil && !errors.Is(err, cause) {
		t.Errorf("%q does not hold %q", err, cause)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("%q is not one printable line", err)
	}
}
