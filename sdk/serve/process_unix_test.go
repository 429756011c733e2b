//go:build unix

package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// buildDir holds the plugin in testdata, for all tests of this run.
var buildDir string

// noisy builds that plugin, once.
var noisy = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(buildDir, "noisy")
	out, err := exec.Command("go", "build", "-o", bin, "./testdata/noisy").CombinedOutput()
	if err != nil {
		return "", sdk.Errorf(sdk.Internal, "build: %w: %s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kw")
	if err != nil {
		panic(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// process is a plugin that was started as a host does it.
type process struct {
	cmd      *exec.Cmd
	lifeline io.WriteCloser
	socket   string
	stdout   *bufio.Reader
	stderr   *bytes.Buffer // read it after the end
	plugin   *dial.Plugin
	wait     func() error // until the process has ended; its exit error
}

func start(t *testing.T) *process {
	t.Helper()
	bin, err := noisy()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kw") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &process{cmd: exec.Command(bin), stderr: &bytes.Buffer{}}
	p.wait = sync.OnceValue(func() error {
		_, _ = io.Copy(io.Discard, p.stdout)
		return p.cmd.Wait()
	})
	p.cmd.Env = []string{dial.CookieKey + "=" + dial.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + dir, "KEYWAY_LOG_LEVEL=debug"}
	p.cmd.Stderr = p.stderr
	if p.lifeline, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	t.Cleanup(func() { _, _ = p.cmd.Process.Kill(), p.wait() })
	line, err := p.stdout.ReadString('\n')
	parts := strings.Split(strings.TrimSpace(line), "|")
	if err != nil || len(parts) < 5 || !strings.HasPrefix(parts[3], dir) {
		t.Fatalf("the first line on stdout is %q (%v), want a handshake with a socket in %s", line, err, dir)
	}
	p.socket = parts[3]
	p.plugin = dial.New(connect(t, p.socket))
	return p
}

func connect(t *testing.T, socket string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("unix:"+socket, append(dial.Options(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func (p *process) open(t *testing.T, settings string) *dial.Store {
	t.Helper()
	s, err := p.plugin.Open(t.Context(), "main~1", []byte(settings))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestStdoutCarriesTheHandshakeAndNothingElse(t *testing.T) {
	p := start(t)
	s := p.open(t, "")
	if _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); err != nil {
		t.Fatalf("Get: %v", err)
	}
	if err := p.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(p.stdout)
	if err != nil || len(rest) > 0 {
		t.Errorf("stdout after the handshake: %q, %v; want nothing", rest, err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
	for _, want := range []string{"welcome to descriptor 1", "/nowhere", `"@message":"printed with log"`, `"@message":"read"`, `"store":"main~1"`, `"@module":"noisy"`} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("stderr lacks %s; it has:\n%s", want, p.stderr)
		}
	}
}

func TestOnlyTheLifelineEndsAPlugin(t *testing.T) {
	p := start(t)
	farewell := filepath.Join(t.TempDir(), "farewell")
	settings, _ := json.Marshal(map[string]string{"farewell": farewell})
	s := p.open(t, string(settings))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE} {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatalf("%v: %v", sig, err)
		}
		if _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); err != nil {
			t.Fatalf("Get after %v: %v", sig, err)
		}
	}
	if err := p.lifeline.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		t.Errorf("exit after the end of stdin: %v, want 0", err)
	}
	if _, err := os.Stat(farewell); err != nil {
		t.Errorf("the store was not closed before the exit: %v", err)
	}
}

func TestAPanicIsAnsweredAndThePluginLives(t *testing.T) {
	p := start(t)
	s := p.open(t, "")
	_, err := s.Get(t.Context(), sdk.GetRequest{Name: "panic"})
	if sdk.CodeOf(err) != sdk.Internal || dial.IsTransport(err) || !strings.Contains(err.Error(), "panicked with a string") {
		t.Errorf("Get that panics: %v, want internal and the type", err)
	}
	if _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); err != nil {
		t.Errorf("Get after a panic: %v", err)
	}
	_ = p.lifeline.Close()
	if err := p.wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
	if log := p.stderr.String(); strings.Contains(log, "canary") || !strings.Contains(log, "(*store).Get:") {
		t.Errorf("the log must tell where it panicked and not with what:\n%s", log)
	}
}

func TestOnlyTheParentMayConnect(t *testing.T) {
	p := start(t)
	p.open(t, "") // the parent may
	stranger := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStranger$")
	stranger.Env = append(os.Environ(), "STRANGER_SOCKET="+p.socket)
	if out, err := stranger.CombinedOutput(); err != nil {
		t.Errorf("a process that is not the parent was answered: %v\n%s", err, out)
	}
}

// TestStranger runs in a process of its own: it is that process's whole work when it is started by the test above.
func TestStranger(t *testing.T) {
	socket := os.Getenv("STRANGER_SOCKET")
	if socket == "" {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if raw, err := (&net.Dialer{}).DialContext(ctx, "unix", socket); err != nil {
		t.Fatalf("the socket is not there: %v", err)
	} else {
		_ = raw.Close()
	}
	if _, err := dial.New(connect(t, socket)).Describe(ctx); !dial.IsTransport(err) {
		t.Fatalf("Describe: %v, want a refused connection", err)
	}
}

func TestAPluginTellsWhatItIsWithoutAHost(t *testing.T) {
	bin, err := noisy()
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range [][]string{nil, {dial.CookieKey + "=" + dial.CookieValue}} {
		var m sdk.Manifest
		cmd := exec.CommandContext(t.Context(), bin, "--describe")
		cmd.Env = env
		out, err := cmd.Output()
		at := bytes.IndexByte(out, '{') // its dependency greets on stdout when no host is there
		if err != nil || at < 0 || json.Unmarshal(out[at:], &m) != nil || m.Name != "noisy" || !bytes.Contains(m.Schema, []byte(`"farewell"`)) {
			t.Errorf("--describe with %v: %v, %s", env, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), bin, "--version").Output()
	if err != nil || !strings.Contains(string(out), "noisy 0.1.0 (keyway-go/") {
		t.Errorf("--version: %v, %s", err, out)
	}
}

func TestAPluginStartedByHandSaysHowItIsUsed(t *testing.T) {
	bin, err := noisy()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"-h"}, {"--help"}, {"serve"}, {"--describe", "x"}} {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Env, cmd.Stderr = []string{}, &stderr
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "A Keyway host starts it") {
			t.Errorf("%q: %v, %s; want exit 1 and the usage", args, err, &stderr)
		}
	}
}
