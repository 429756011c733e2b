package plugin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// generation starts one, for tests of what comes after.
func (f *fixture) generation() *Generation {
	f.t.Helper()
	g, err := startOne(f.t.Context(), f.t, f.Catalog, f.binary())
	if err != nil {
		f.t.Fatalf("start: %v", err)
	}
	return g
}

// alive reports whether a process runs; one that nobody has reaped does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestStopIsPoliteFirst(t *testing.T) {
	f := newFixture(t, "")
	g := f.generation()
	g.stop(t.Context(), patience{lifeline: time.Minute, terminate: time.Minute})
	if got := g.run.process().ExitText(); got != "exit status 0" {
		t.Errorf("after its lifeline was closed the plugin ended with %s, want exit status 0", got)
	}
}

func TestStopIsBounded(t *testing.T) {
	short := patience{lifeline: 50 * time.Millisecond, terminate: 50 * time.Millisecond}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name, mode string
		freeze     bool
		ctx        context.Context
		p          patience
		want       string
	}{
		{"ignores its lifeline", "deaf-lifeline", false, context.Background(), patience{50 * time.Millisecond, time.Minute}, "exit status 2"}, // SIGTERM, of a process that may not signal itself,
		{"ignores SIGTERM too", "stubborn", false, context.Background(), short, "signal: killed"},
		{"is frozen", "", true, context.Background(), short, "signal: killed"},
		{"has no time left", "stubborn", false, ended, patience{time.Hour, time.Hour}, "signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.mode)
			g := f.generation()
			if c.freeze {
				if err := syscall.Kill(g.PID(), syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			g.stop(c.ctx, c.p)
			if got := g.run.process().ExitText(); got != c.want {
				t.Errorf("ended with %q, want %q", got, c.want)
			}
		})
	}
}

// childOf gives the process that the plugin said it started.
func childOf(t *testing.T, g *Generation) int {
	t.Helper()
	pid := 0
	eventually(t, "the plugin names its child", func() bool {
		for _, line := range g.tail.Lines() {
			if s, ok := strings.CutPrefix(line, "child "); ok {
				pid, _ = strconv.Atoi(s)
			}
		}
		return pid > 0
	})
	return pid
}

func TestAPluginsChildrenEndWithIt(t *testing.T) {
	f := newFixture(t, "family")
	f.opts.Sandbox = "off" // in the sandbox it could start no other program
	g := f.generation()
	pid := childOf(t, g)
	if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-g.Done()
	eventually(t, "the child has ended", func() bool { return !alive(pid) })
	g.release()
}

func TestAnEscapedChildDoesNotHoldTheStop(t *testing.T) {
	f := newFixture(t, "escaped")
	f.opts.Sandbox = "off" // in the sandbox it could start no other program
	g := f.generation()
	pid := childOf(t, g)
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	g.stop(t.Context(), f.stop)
	if !alive(pid) {
		t.Error("the child has not escaped, so this test shows nothing")
	}
}

// ownWord gives what the plugin says of itself: its memory is closed to whoever is not root.
func ownWord(t *testing.T, g *Generation, what string) string {
	t.Helper()
	s, err := g.Dial().Open(t.Context(), "asked~1", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.Get(t.Context(), sdk.GetRequest{Name: what})
	if err != nil {
		t.Fatalf("Get(%q): %v", what, err)
	}
	return string(secret.Value.Reveal())
}

func TestTheHostsEnvironmentStaysInTheHost(t *testing.T) {
	t.Setenv("HOST_SECRET", "canary")
	f := newFixture(t, "")
	f.opts.Env = append(f.opts.Env, "ALLOWED=yes", "TZ=Europe/Zurich")
	g := f.generation()
	environ := ownWord(t, g, "environ")
	var names []string
	for kv := range strings.SplitSeq(environ, "\x00") {
		name, _, _ := strings.Cut(kv, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"ALLOWED", "FAKE", "GOMAXPROCS", "GOMEMLIMIT", "KEYWAY_PLUGIN", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR", "TZ"}
	if !slices.Equal(names, want) {
		t.Errorf("the plugin's environment has %q, want %q", names, want)
	}
	if !strings.Contains(environ, "TZ=Europe/Zurich") || strings.Contains(environ, "canary") {
		t.Errorf("environment %q, want the allowed TZ and nothing of the host's", environ)
	}
	g.stop(t.Context(), f.stop)
}

func TestAPluginRunsApart(t *testing.T) {
	f := newFixture(t, "")
	g := f.generation()
	if dir := ownWord(t, g, "cwd"); dir != "/" {
		t.Errorf("working directory %q, want /", dir)
	}
	if group, err := syscall.Getpgid(g.PID()); err != nil || group != g.PID() {
		t.Errorf("process group %d, %v, want its own, %d", group, err, g.PID())
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
			t.Errorf("core files: %q, want none", line)
		}
	}
	if left, err := os.ReadDir(f.run); err != nil || len(left) > 0 {
		t.Errorf("run directory of a connected plugin holds %v, %v, want nothing that a stranger could dial", left, err)
	}
	g.stop(t.Context(), f.stop)
}

// resources counts what a leak would grow.
func resources(t *testing.T) map[string]int {
	t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	children, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	processes := 0
	for _, c := range children {
		b, _ := os.ReadFile(c) // a thread may end meanwhile
		processes += len(strings.Fields(string(b)))
	}
	return map[string]int{"goroutines": runtime.NumGoroutine(), "descriptors": count("/proc/self/fd"), "threads": count("/proc/self/task"), "processes": processes}
}

func TestTwoHundredGenerationsLeaveNothing(t *testing.T) {
	f := newFixture(t, "")
	ends := []func(g *Generation){
		func(g *Generation) { _ = syscall.Kill(g.PID(), syscall.SIGKILL); <-g.Done(); g.release() },
		func(g *Generation) { g.stop(t.Context(), f.stop) },
		func(g *Generation) { _ = get(t.Context(), g, "s~2", "exit"); <-g.Done(); g.release() },
	}
	deaf := func(g *Generation) { _ = get(t.Context(), g, "s~2", "deaf"); <-g.Done(); g.release() } // each waits for holdout
	round := func(i int) {
		g := f.generation()
		if err := get(t.Context(), g, "s~1", "value"); err != nil {
			t.Fatalf("round %d: Get: %v", i, err)
		}
		if i%50 == 0 {
			deaf(g)
			return
		}
		ends[i%len(ends)](g)
	}
	for i := range 2 * len(ends) {
		round(i)
	}
	before := resources(t)
	const spare = 8 // threads that Go keeps
	for i := range 200 {
		round(i)
	}
	eventually(t, "as many goroutines, descriptors, threads and processes as before", func() bool {
		now := resources(t)
		return now["goroutines"] <= before["goroutines"] && now["descriptors"] <= before["descriptors"] &&
			now["threads"] <= before["threads"]+spare && now["processes"] <= before["processes"]
	})
}

func TestFailedStartsLeaveNothing(t *testing.T) {
	modes := []string{"crash", "describe-crash", "contract2", "elsewhere"}
	var fixtures []*fixture
	for _, m := range modes {
		fixtures = append(fixtures, newFixture(t, m))
	}
	round := func() {
		for _, f := range fixtures {
			if _, err := startOne(t.Context(), t, f.Catalog, f.binary()); err == nil {
				t.Fatal("started, want an error")
			}
		}
	}
	round()
	before := resources(t)
	for range 10 {
		round()
	}
	eventually(t, "as many goroutines, descriptors and processes as before", func() bool {
		now := resources(t)
		return now["goroutines"] <= before["goroutines"] && now["descriptors"] <= before["descriptors"] && now["processes"] <= before["processes"]
	})
}
