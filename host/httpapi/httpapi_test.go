package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

const canary = "canary-3f9a"

// served is a host over the example provider in this process, behind a Unix socket.
type served struct {
	*http.Client
	backend *example.Backend
	log     *journal
}

// journal is everything that was logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

const twoStores = `
stores:
  prod: {provider: example, required: true}
  spare: {provider: example}
`

// opened is a host over the example provider.
func opened(t *testing.T, yaml string, logger *slog.Logger, b *example.Backend, more ...host.Option) *host.Host {
	t.Helper()
	cfg, err := config.Parse("keyway.yaml", []byte("version: 1\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	conn, stop := serve.Pipe(b.Plugin())
	h, err := host.Open(t.Context(), cfg, append(more, host.WithProvider("example", conn), host.WithLogger(logger),
		host.WithEnviron(func(n string) (string, bool) { return canary, n == "SECRET" }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		stop()
	})
	return h
}

// serving serves a host on a Unix socket. prepare, which may be nil, comes before the host is opened.
func serving(t *testing.T, yaml string, prepare func(*httpapi.Options, *example.Backend), more ...host.Option) served {
	t.Helper()
	s := served{backend: example.NewBackend(), log: &journal{}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := httpapi.Options{Version: "9.9.9", Logger: logger}
	if prepare != nil {
		prepare(&o, s.backend)
	}
	t.Cleanup(func() {
		if strings.Contains(s.log.String(), canary) {
			t.Error("a value is in the log")
		}
	})
	server := httpapi.Server(httpapi.Handler(opened(t, yaml, logger, s.backend, more...), o), logger)
	dir, err := os.MkdirTemp("", "kw-api") // short: a socket's path is bounded
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // it ends with Close
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	s.Client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-ended
		_ = os.RemoveAll(dir)
	})
	return s
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body []byte
}

func (s served) do(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://any.host"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if res.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: the answer has no X-Request-Id", method, path)
	}
	return reply{res, all}
}

func (s served) get(t *testing.T, path string, header ...string) reply {
	t.Helper()
	return s.do(t, http.MethodGet, path, "", header...)
}

// into decodes a good answer.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("status %d, want 200: %s", r.StatusCode, r.body)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("the answer is no JSON of its kind: %v", err)
	}
}

// refused holds an answer to be a problem of a status and a code.
func (r reply) refused(t *testing.T, status int, code sdk.Code) httpapi.Problem {
	t.Helper()
	var p httpapi.Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("status %d and no problem: %s", r.StatusCode, r.body)
	}
	if r.StatusCode != status || p.Status != status || p.Code != httpapi.Word(code) {
		t.Errorf("status %d, in the body %d, code %s; want %d and %s: %s", r.StatusCode, p.Status, p.Code, status, httpapi.Word(code), p.Detail)
	}
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q, want application/problem+json", got)
	}
	if p.RequestID != r.Header.Get("X-Request-Id") || p.Type == "" || p.Title == "" || p.Detail == "" || p.Op == "" {
		t.Errorf("the problem lacks a field: %s", r.body)
	}
	if bytes.Contains(r.body, []byte(canary)) {
		t.Error("the problem holds a value")
	}
	return p
}

const openai = "/v1/stores/prod/secret?name=team/openai"

func TestASecretIsReadWithItsVersionAndAge(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("team/openai", `{"key":"`+canary+`"}`)
	r := s.get(t, openai)
	var got httpapi.Secret
	r.into(t, &got)
	if got.Value == nil || *got.Value != `{"key":"`+canary+`"}` || got.Store != "prod" || got.Name != "team/openai" || got.Version == "" {
		t.Errorf("%s %s at version %q; want another answer", got.Store, got.Name, got.Version)
	}
	for key, want := range map[string]string{"ETag": `"` + got.Version + `"`, "Cache-Control": "no-store", "Content-Type": "application/json", "Keyway-Stale": ""} {
		if r.Header.Get(key) != want {
			t.Errorf("%s: %q, want %q", key, r.Header.Get(key), want)
		}
	}
	if r.Header.Get("Age") == "" {
		t.Error("the answer has no Age")
	}
	for _, list := range []string{r.Header.Get("ETag"), "W/" + r.Header.Get("ETag"), `"other", ` + r.Header.Get("ETag"), "*"} {
		if again := s.get(t, openai, "If-None-Match", list); again.StatusCode != http.StatusNotModified || len(again.body) != 0 {
			t.Errorf("If-None-Match %s: status %d with %d bytes, want 304 with none", list, again.StatusCode, len(again.body))
		}
	}
	if other := s.get(t, openai, "If-None-Match", `"other"`); other.StatusCode != http.StatusOK {
		t.Errorf("If-None-Match of another version: status %d, want 200", other.StatusCode)
	}
}

func TestAPointerAndAVersionSelect(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("k", `{"a":{"b":"first"}}`)
	var first, now httpapi.Secret
	s.get(t, "/v1/stores/prod/secret?name=k&pointer=/a/b").into(t, &first)
	if first.Value == nil || *first.Value != "first" {
		t.Error("the pointer gave another value than the member's")
	}
	s.backend.Set("k", "second")
	s.get(t, "/v1/stores/spare/secret?name=k").into(t, &now)
	s.get(t, "/v1/stores/prod/secret?name=k&version="+first.Version).into(t, &first)
	if now.Value == nil || *now.Value != "second" || *first.Value != `{"a":{"b":"first"}}` {
		t.Error("the versions are not those asked for")
	}
}

func TestBytesComeAsTheyAreOrInBase64(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("blob", "\xff\x00"+canary)
	raw := s.get(t, "/v1/stores/prod/secret?name=blob", "Accept", "application/octet-stream")
	if string(raw.body) != "\xff\x00"+canary || raw.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes of %s; want the value itself", len(raw.body), raw.Header.Get("Content-Type"))
	}
	var got httpapi.Secret
	s.get(t, "/v1/stores/prod/secret?name=blob", "Accept", "application/json, */*;q=0.1").into(t, &got)
	if got.Value != nil || string(got.ValueBase64) != "\xff\x00"+canary {
		t.Error("value_base64 is not the value")
	}
}

func TestAnOldValueSaysSo(t *testing.T) {
	s := serving(t, "cache: {ttl: 1ms, soft_timeout: 10s}\n"+twoStores, nil)
	s.backend.Set("k", canary)
	for {
		s.backend.Fail("k", nil)
		for s.get(t, "/v1/stores/prod/secret?name=k").StatusCode != http.StatusOK {
			<-time.After(5 * time.Millisecond) // the store is asked again after a while
		}
		s.backend.Fail("k", sdk.Errorf(sdk.Unavailable, "get: down"))
		r := s.get(t, "/v1/stores/prod/secret?name=k")
		if r.StatusCode == http.StatusServiceUnavailable {
			continue // the subscription to changes has begun, and with it the value was forgotten
		}
		var got httpapi.Secret
		if r.into(t, &got); !got.Stale {
			continue // it was fresh still
		}
		if r.Header.Get("Keyway-Stale") != "1" {
			t.Error("a stale value without Keyway-Stale: 1")
		}
		return
	}
}
