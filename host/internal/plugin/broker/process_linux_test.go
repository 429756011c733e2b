package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// start builds the plugin in testdata and starts it with a dial socket.
func start(t *testing.T, b *Broker) *dial.Plugin {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "dialer")
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/dialer").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	end, stop, err := b.Connect(func(err error) { t.Errorf("the plugin broke the rules: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	var stderr bytes.Buffer
	cmd := exec.Command(bin)
	cmd.Env = []string{dial.CookieKey + "=" + dial.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + dir}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{end}, &stderr
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = end.Close()
	out := bufio.NewReader(stdout)
	t.Cleanup(func() {
		_ = lifeline.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the plugin ended with %v:\n%s", err, stderr.String())
		}
	})
	line, err := out.ReadString('\n')
	parts := strings.Split(line, "|")
	if err != nil || len(parts) < 5 {
		t.Fatalf("the first line on stdout is %q, %v, want a handshake", line, err)
	}
	cc, err := grpc.NewClient("unix:"+parts[3], append(dial.Options(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return dial.New(cc)
}

func TestAPluginsCodeDialsThroughTheHost(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, greeting) }))
	t.Cleanup(srv.Close)
	endpoint := srv.Listener.Addr().String()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	other, _ := server(t)

	b := newBroker(t, Options{})
	settings, _ := json.Marshal(map[string][]string{"endpoints": {endpoint, closed, "169.254.169.254:80"}})
	store, err := start(t, b).Open(t.Context(), "main~1", settings)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	get := func(way, endpoint string) (string, error) {
		s, err := store.Get(t.Context(), sdk.GetRequest{Name: way + " " + endpoint})
		return string(s.Value.Reveal()), err
	}
	refused := func(way, endpoint, words string) {
		t.Helper()
		_, err := get(way, endpoint)
		if sdk.CodeOf(err) != sdk.PermissionDenied || !strings.Contains(err.Error(), words) {
			t.Errorf("%s %s: %v, want a refusal with %q", way, endpoint, err, words)
		}
	}

	refused("env", endpoint, "no open store") // the host has not heard the answer to Open
	b.Allow("main~1", store.Reach())
	for way, want := range map[string]string{"env": "*net.TCPConn " + greeting, "client": greeting, "clone": greeting} {
		if got, err := get(way, endpoint); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", way, got, err, want)
		}
	}
	refused("env", "169.254.169.254:80", "instance metadata")
	refused("env", other, "settings declare") // by the plugin's own half
	refused("clone", other, "no open store")  // which this is past
	if _, err := get("env", closed); sdk.CodeOf(err) != sdk.Unavailable || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a server that is down: %v, want unavailable", err)
	}
	if text, err := get("past", endpoint); err == nil {
		t.Errorf("a plugin that dials by itself has reached %q", text)
	}
	b.Forget("main~1")
	refused("env", endpoint, "no open store")
	if dials, refusals := b.Counts(); dials != 3 || refusals != 4 {
		t.Errorf("counted %d connections and %d refusals, want 3 and 4", dials, refusals)
	}
}
