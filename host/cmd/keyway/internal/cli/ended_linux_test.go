package cli_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const fourPlugins = `version: 1
plugins: {dir: plugins}
listeners: [{unix: s}]
sources: {file: [.]}
stores:
  bank: {provider: bank, required: true, settings: {address: up, token: secret://env/TOKEN}}
  second: {provider: bank, isolation: dedicated, settings: {address: up, token: secret://env/TOKEN}}
  third: {provider: bank, isolation: dedicated, settings: {address: up, token: secret://env/TOKEN}}
  main: {provider: local, required: true, access: read_write, settings: {path: secrets.kw, key: secret://file/store.key}}
`

// withFourPlugins has a service serve three banks, each a process of its own, and the local store with one secret in it.
func withFourPlugins(t *testing.T, s *service) {
	t.Helper()
	install(t, sdktest.Build(t, "github.com/keyway-dev/keyway/plugins/local"), filepath.Join(s.dir, "plugins", "local"))
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))
	for name, text := range map[string]string{"keyway.yaml": fourPlugins, "store.key": key} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := exec.CommandContext(t.Context(), s.program, "put", "main", "a")
	put.Dir, put.Env, put.Stdin = s.dir, s.cmd.Env, strings.NewReader("canary-a")
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("keyway put: %v\n%s", err, out)
	}
}

// processes gives the command lines of all processes that run a program of the service's folder.
func (s *service) processes(t *testing.T) (running []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), s.dir) { // else it has ended
			running = append(running, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return running
}

// files gives the names in the service's folder, which is also where its temporary files are. The lock of its socket's place
// stays, for the next service.
func (s *service) files(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "s.lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

// pluginPIDs gives the processes of the plugins.
func (s *service) pluginPIDs(t *testing.T) (pids []int) {
	t.Helper()
	status, body, err := s.get(t.Context(), "/v1/plugins")
	if err != nil || status != http.StatusOK {
		t.Fatalf("/v1/plugins: status %d, %v", status, err)
	}
	var plugins []struct{ PID int }
	if err := json.Unmarshal([]byte(body), &plugins); err != nil {
		t.Fatal(err)
	}
	for _, p := range plugins {
		pids = append(pids, p.PID)
	}
	return pids
}

// A service manager that ends a unit signals every process of it at once, in whichever group it is.
func TestWhenEveryProcessIsToldToEndTheCallsFinishAndNothingIsLeft(t *testing.T) {
	var before []string
	s := start(t, func(s *service) {
		withFourPlugins(t, s)
		before = s.files(t)
	})
	if status, body, err := s.get(t.Context(), "/v1/stores/main/secret?name=a"); err != nil || status != http.StatusOK || body != "canary-a" {
		t.Fatalf("the local store: status %d with %d bytes, %v; want the value", status, len(body), err)
	}
	pids := s.pluginPIDs(t)
	if len(pids) != 4 {
		t.Fatalf("%d plugins run, want 4", len(pids))
	}
	var calls sync.WaitGroup
	slow := 0
	for _, store := range []string{"bank", "second", "third"} {
		for _, name := range []string{"slow-1", "slow-2", "slow-3", "slow-4"} {
			slow++
			calls.Go(func() {
				status, body, err := s.get(t.Context(), "/v1/stores/"+store+"/secret?name="+name)
				if err != nil || status != http.StatusOK || body != "canary-"+name {
					t.Errorf("%s of %s: status %d with %d bytes, %v; want the value", name, store, status, len(body), err)
				}
			})
		}
	}
	s.stderr.awaitTimes(t, "a slow read began", slow)
	for _, pid := range pids { // before the service, at whose end they are gone
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Errorf("a plugin was gone before it was told to end: %v", err)
		}
	}
	s.kill(t, syscall.SIGTERM)
	calls.Wait()
	s.stops(t)
	if left := s.processes(t); len(left) > 0 {
		t.Errorf("processes are left over: %q", left)
	}
	if after := s.files(t); !slices.Equal(after, before) {
		t.Errorf("the folder has %q, want %q as before", after, before)
	}
}

// awaitTimes returns when text has been printed so many times.
func (s *said) awaitTimes(t *testing.T, text string, times int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(waitTime)
	for strings.Count(s.String(), text) < times {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it printed %q %d times, want %d:\n%s", text, strings.Count(s.String(), text), times, s)
		}
	}
}
