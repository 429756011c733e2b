package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/internal/peer"
	"github.com/keyway-dev/keyway/sdk/example"
)

// told is an audit that keeps its lines.
type told struct {
	mu  sync.Mutex
	all []audit.Line
}

func (s *told) Write(_ context.Context, line audit.Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, line)
	return nil
}

// of gives the lines of one request.
func (s *told) of(id string) []audit.Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.all), func(l audit.Line) bool { return l.RequestID != id })
}

func audited(t *testing.T) (served, *told) {
	t.Helper()
	sink := &told{}
	return serving(t, twoStores, func(_ *httpapi.Options, b *example.Backend) { b.Set("a", canary) }, host.WithAudit(sink)), sink
}

func TestTheAuditTellsWhoAskedOverTheSocketAndForWhat(t *testing.T) {
	s, sink := audited(t)
	for _, x := range []struct {
		id, method, path, body string
		want                   []string // op, store, name and code of each line
	}{
		{"r1", http.MethodGet, "/v1/stores/prod/secret?name=a", "", []string{"get prod a: ok backend"}},
		{"r2", http.MethodGet, "/v1/stores/prod/secret?name=a", "", []string{"get prod a: ok cache"}},
		{"r3", http.MethodGet, "/v1/stores/prod/secret?name=none", "", []string{"get prod none: not found"}},
		{"r4", http.MethodGet, "/v1/stores/env/secret?name=SECRET", "", []string{"get env SECRET: permission denied"}},
		{"r5", http.MethodGet, "/v1/stores/nowhere/secret?name=a", "", []string{"get  : not found"}},
		{"r6", http.MethodPost, "/v1/resolve", `{"refs": ["secret://prod/a", "secret://file/x", "secret://spare/a"]}`,
			[]string{"get file x: permission denied", "get prod a: ok cache", "get spare a: ok backend"}},
		{"r7", http.MethodGet, "/v1/status", "", []string{"GET /v1/status  : ok"}},
		{"r8", http.MethodPost, "/v1/resolve", `{"refs": []}`, []string{"POST /v1/resolve  : invalid argument"}},
		{"r9", http.MethodPost, "/v1/plugins/example/rollback", "", []string{"rollback  : ", "rollback  : not found", "POST /v1/plugins/{plugin}/rollback  : not found"}},
		{"r10", http.MethodGet, "/v1/elsewhere", "", []string{"none  : unimplemented"}},
		{"r11", http.MethodGet, "/livez", "", nil},
	} {
		s.do(t, x.method, x.path, x.body, "X-Request-Id", x.id, "Content-Type", "application/json")
		var got []string
		for _, l := range sink.of(x.id) {
			got = append(got, strings.TrimSuffix(l.Op+" "+l.Store+" "+l.Name+": "+l.Code+" "+string(l.Source), " "))
			if l.Actor.Kind != audit.Socket || peer.Known && (l.Actor.PID != os.Getpid() || l.Actor.UID == nil || int(*l.Actor.UID) != os.Geteuid()) {
				t.Errorf("%s: the line of %s names %+v, want this process and its user by the socket", x.id, l.Op, l.Actor)
			}
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s %s: the audit has %q, want %q", x.method, x.path, got, x.want)
		}
	}
}

func TestAnEmbeddersWordOnWhoAsksIsNotOverruled(t *testing.T) {
	sink, backend := &told{}, example.NewBackend()
	backend.Set("a", canary)
	h := opened(t, twoStores, slog.New(slog.DiscardHandler), backend, host.WithAudit(sink))
	served := httpapi.Handler(h, httpapi.Options{})
	ask := func(ctx context.Context, id string) audit.Actor {
		t.Helper()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/stores/prod/secret?name=a", nil)
		r.Header.Set("X-Request-Id", id)
		r.RemoteAddr = "192.0.2.7:4711"
		served.ServeHTTP(httptest.NewRecorder(), r)
		lines := sink.of(id)
		if len(lines) != 1 {
			t.Fatalf("%d lines of the request %s, want 1", len(lines), id)
		}
		return lines[0].Actor
	}
	if got := ask(t.Context(), "r1"); got != (audit.Actor{Kind: audit.Network, Addr: "192.0.2.7:4711"}) {
		t.Errorf("a request over the network is told as %+v, want its address", got)
	}
	alice := audit.Actor{Kind: audit.Embedded, Who: "alice", Team: "core"}
	if got := ask(audit.WithOrigin(t.Context(), audit.Origin{Actor: alice}), "r2"); got != alice {
		t.Errorf("a request of alice's is told as %+v, want %+v", got, alice)
	}
}
