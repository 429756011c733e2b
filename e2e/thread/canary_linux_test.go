//go:build e2e

package thread_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processes gives the ones that there are, by what /proc tells of each.
func processes(t *testing.T) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// proc reads a file of a process; one that has ended, or is not ours, has none.
func proc(pid int, file string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	return string(b)
}

// children gives the processes that one started, by the name of their program.
func children(t *testing.T, parent int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, pid := range processes(t) {
		_, rest, _ := strings.Cut(proc(pid, "stat"), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			out[strings.TrimSpace(proc(pid, "comm"))] = pid
		}
	}
	return out
}

// visible fails the test if what any process shows to others holds a canary, but for the environment of one.
func (c *cage) visible(t *testing.T, holder int) {
	t.Helper()
	for _, pid := range processes(t) {
		who := fmt.Sprintf("of process %d (%s)", pid, strings.TrimSpace(proc(pid, "comm")))
		c.absent(t, "the command line "+who, proc(pid, "cmdline"))
		if pid != holder {
			c.absent(t, "the environment "+who, proc(pid, "environ"))
		}
	}
}

// running is a program that has been started, with all that it prints.
type running struct {
	*exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *running) printed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// start starts a program in the cage; it may write core files, if only it would.
func (c *cage) start(t *testing.T, program string, args ...string) *running {
	t.Helper()
	args = append([]string{"-c", `ulimit -c "$(ulimit -Hc)"; exec "$0" "$@"`, filepath.Join(bin, program)}, args...)
	r := &running{Cmd: exec.CommandContext(t.Context(), "sh", args...)}
	r.Dir, r.Env, r.Stdout, r.Stderr = c.dir, append(c.env, "GOTRACEBACK=all"), r, r
	in, err := r.StdinPipe()
	if err == nil {
		err = r.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = r.Process.Kill()
		_, _ = r.Process.Wait()
	})
	return r
}

// await waits for a condition, at most 20 s.
func (r *running) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s; printed so far:\n%s", what, r.printed())
		}
	}
}

// end sends a signal to a process, which must be one.
func end(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if pid <= 0 {
		t.Fatal("there is no such process")
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheProgramOfRunHoldsTheSecrets(t *testing.T) {
	c := newCage(t)
	c.fill(t)
	r := c.start(t, "keyway", "run", "--litellm", "config.yaml", "--env", "A=secret://home/a", "--env", "B=secret://prod/b#/key", "--",
		"sh", "-c", "echo ready; read line", "{config}")
	r.await(t, "the program runs", func() bool { return strings.Contains(r.printed(), "ready") })
	child := children(t, r.Process.Pid)["sh"]
	if env := proc(child, "environ"); !strings.Contains(env, c.values["local value"]) || !strings.Contains(env, c.values["vault value"]) {
		t.Errorf("the program (process %d) lacks its values", child)
	}
	c.visible(t, child)
	c.files(t, "while the program runs")
	if err := r.Process.Signal(syscall.SIGSEGV); err != nil { // keyway itself crashes, with the values in its memory
		t.Fatal(err)
	}
	_ = r.Wait()
	if !strings.Contains(r.printed(), "goroutine ") {
		t.Errorf("keyway did not print a stack:\n%s", r.printed())
	}
	c.absent(t, "the crash of keyway run", r.printed())
	c.files(t, "after the crash of keyway run")
}

// gateway starts the program that embeds a host, with live values of both stores.
func (c *cage) gateway(t *testing.T) *running {
	t.Helper()
	u := newUpstream(t)
	u.issue(c.values["local value"])
	u.issue(c.values["vault value"])
	c.write(t, "routes.yaml", fmt.Sprintf(`listen: 127.0.0.1:0
routes:
  - {path: /a/, upstream: "%[1]s", header: Authorization, key: "Bearer ${secret://home/a}"}
  - {path: /b/, upstream: "%[1]s", header: Authorization, key: "Bearer ${secret://prod/b#/key}"}
`, u.URL))
	r := c.start(t, "gateway")
	address := ""
	r.await(t, "the gateway listens", func() bool {
		_, rest, ok := strings.Cut(r.printed(), "gateway listens address=")
		if ok && strings.Contains(rest, "\n") {
			address = strings.Fields(rest)[0]
		}
		return address != ""
	})
	for _, path := range []string{"/a/", "/b/"} {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d; the gateway lacks its value", path, resp.StatusCode)
		}
	}
	return r
}

func TestACrashTellsNoSecret(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGABRT} {
		t.Run(s.String(), func(t *testing.T) {
			c := newCage(t)
			c.fill(t)
			g := c.gateway(t)
			c.visible(t, 0)
			c.files(t, "while the gateway runs")
			for _, plugin := range []string{"local", "vault"} {
				pid := children(t, g.Process.Pid)[plugin]
				for line := range strings.Lines(proc(pid, "limits")) {
					if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (f[4] != "0" || f[5] != "0") {
						t.Errorf("%s may write a core file: %s", plugin, line)
					}
				}
				end(t, pid, s)
				g.await(t, plugin+" is replaced", func() bool {
					now := children(t, g.Process.Pid)[plugin]
					return now != 0 && now != pid
				})
			}
			g.await(t, "the crashes are logged", func() bool { return strings.Count(g.printed(), "plugin is down") == 2 })
			stack := g.printed()
			if !strings.Contains(stack, "goroutine ") {
				t.Errorf("the log has no stack of a plugin:\n%s", stack)
			}
			c.absent(t, "the crashes of the plugins", stack)
			if err := g.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			_ = g.Wait()
			if after := g.printed()[len(stack):]; !strings.Contains(after, "goroutine ") {
				t.Errorf("the gateway printed no stack:\n%s", after)
			}
			c.absent(t, "the crash of the gateway", g.printed())
			c.files(t, "after the crashes")
		})
	}
}

func TestACrashDuringAWriteTellsNoSecret(t *testing.T) {
	for _, victim := range []string{"vault", "keyway"} {
		for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGABRT} {
			t.Run(victim+" "+s.String(), func(t *testing.T) {
				c := newCage(t)
				arrived, released := make(chan bool, 10), make(chan struct{})
				release := sync.OnceFunc(func() { close(released) })
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet { // who the token is
						_, _ = io.WriteString(w, `{"data": {"ttl": 0}}`)
						return
					}
					body, _ := io.ReadAll(r.Body)
					arrived <- strings.Contains(string(body), c.values["vault value"]) && r.Header.Get("X-Vault-Token") == c.values["token"]
					<-released
				}))
				defer server.Close()
				defer release()
				c.write(t, "keyway.yaml", fmt.Sprintf(`version: 1
plugins: {dir: %s}
stores:
  slow: {provider: vault, access: write, settings: {address: %s, auth: {token: {token: secret://file/token}}}}
sources: {file: [.]}
`, bin, server.URL))
				r := c.start(t, "keyway", "--log-level", "debug", "put", "slow", "b", "--file", "vault.value")
				r.await(t, "the plugin has sent the value", func() bool {
					select {
					case whole := <-arrived:
						return whole
					default:
						return false
					}
				})
				c.visible(t, 0)
				pid := r.Process.Pid
				if victim != "keyway" {
					r.await(t, "the plugin is there by its name", func() bool {
						pid = children(t, r.Process.Pid)[victim]
						return pid > 0
					})
				}
				end(t, pid, s)
				release() // the write may be tried again
				_ = r.Wait()
				if !strings.Contains(r.printed(), "goroutine ") {
					t.Errorf("no stack was printed:\n%s", r.printed())
				}
				c.absent(t, "the crash during a write", r.printed())
				c.files(t, "after the crash")
			})
		}
	}
}
