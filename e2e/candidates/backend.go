package candidates

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Token is what a [Backend] accepts as a login.
const Token = "candidate-token"

// Backend is the secret manager behind the candidates: an HTTP server of the test on a loopback address, which outlives every
// process of the plugin. It is safe for concurrent use.
type Backend struct {
	server *httptest.Server

	mu       sync.Mutex
	secrets  map[string]*secret
	done     map[string]string // idempotency keys, with the version that each made
	sessions map[string]bool
	used     bool // the token has been used
	single   bool
	fails    int
	hang     chan struct{}
	stats    Stats
	calls    map[string]int
}

type secret struct {
	value   string
	version int
}

// Stats counts what a [Backend] was asked.
type Stats struct {
	Calls  int // all but logins, those that failed too
	Logins int // attempts
	Open   int // sessions that have not been ended
	Writes int // versions that writers made: a repeated idempotency key makes none
}

// NewBackend starts one that ends with the test.
func NewBackend(t testing.TB) *Backend {
	b := &Backend{secrets: map[string]*secret{}, done: map[string]string{}, sessions: map[string]bool{}, calls: map[string]int{}}
	b.server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(func() {
		b.Recover()
		b.server.CloseClientConnections()
		b.server.Close()
	})
	return b
}

// Settings are those of a store that reaches b, as YAML and JSON both read them.
func (b *Backend) Settings() string {
	return `{"address":"` + b.server.URL + `","token":"` + Token + `"}`
}

// Address is the "host:port" of b.
func (b *Backend) Address() string { return b.server.Listener.Addr().String() }

// Set gives a secret a new version, behind everybody's back.
func (b *Backend) Set(name, value string) (version string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set(name, value)
}

func (b *Backend) set(name, value string) string {
	s := b.secrets[name]
	if s == nil {
		s = &secret{}
		b.secrets[name] = s
	}
	s.value = value
	s.version++
	return strconv.Itoa(s.version)
}

// Value gives the current value of a secret.
func (b *Backend) Value(name string) (value, version string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secrets[name]
	if s == nil {
		return "", "", false
	}
	return s.value, strconv.Itoa(s.version), true
}

// Fail answers every request, logins too, with an HTTP status until [Backend.Recover]: 503 is an outage, 403 a permission
// that was taken away.
func (b *Backend) Fail(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = status
}

// Hang leaves every request without an answer until [Backend.Recover].
func (b *Backend) Hang() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hang == nil {
		b.hang = make(chan struct{})
	}
}

// Recover ends Fail and Hang.
func (b *Backend) Recover() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = 0
	if b.hang != nil {
		close(b.hang)
		b.hang = nil
	}
}

// SingleUse lets the token log in once, ever; a login that happened before counts.
func (b *Backend) SingleUse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.single = true
}

// Stats gives the counts so far.
func (b *Backend) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.stats
	out.Open = len(b.sessions)
	return out
}

// CallsOf counts the calls of one kind on a name: "get", "put", "delete", or "list" with a prefix, or "check" with no name.
func (b *Backend) CallsOf(op, name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[op+" "+name]
}

var ops = map[string]string{http.MethodGet: "get", http.MethodPut: "put", http.MethodDelete: "delete", "LIST": "list", http.MethodHead: "check"}

func (b *Backend) serve(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	status, hang := b.count(r, name)
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.URL.Path == "/login":
		b.login(w, r)
	case !b.sessions[r.Header.Get("Session")]:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		b.answer(w, r, name, string(body))
	}
}

// count notes a request, and gives the status that it must fail with, or what it must wait for.
func (b *Backend) count(r *http.Request, name string) (status int, hang chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.URL.Path != "/login":
		b.stats.Calls++
		b.calls[ops[r.Method]+" "+name]++
	case r.Method == http.MethodPost:
		b.stats.Logins++
	}
	return b.fails, b.hang
}

// login makes a session, or ends one. The caller holds the lock.
func (b *Backend) login(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodDelete:
		delete(b.sessions, r.Header.Get("Session"))
	case r.Header.Get("Authorization") != "Bearer "+Token || b.single && b.used:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		b.used = true
		session := rand.Text()
		b.sessions[session] = true
		_, _ = io.WriteString(w, session)
	}
}

// answer answers a call on a secret. The caller holds the lock.
func (b *Backend) answer(w http.ResponseWriter, r *http.Request, name, body string) {
	s := b.secrets[name]
	switch op := ops[r.Method]; {
	case op == "check":
	case op == "list":
		_ = json.NewEncoder(w).Encode(b.names(name))
	case op == "put":
		b.put(w, r, name, body)
	case s == nil:
		w.WriteHeader(http.StatusNotFound)
	case op == "delete":
		delete(b.secrets, name)
	default:
		w.Header().Set("Version", strconv.Itoa(s.version))
		_, _ = io.WriteString(w, s.value)
	}
}

func (b *Backend) names(prefix string) []string {
	out := []string{}
	for name := range b.secrets {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (b *Backend) put(w http.ResponseWriter, r *http.Request, name, value string) {
	key, s := r.Header.Get("Idempotency-Key"), b.secrets[name]
	current := ""
	if s != nil {
		current = strconv.Itoa(s.version)
	}
	version, repeated := b.done[key]
	switch want := r.Header.Get("If-Match"); {
	case repeated:
	case r.Header.Get("If-None-Match") != "" && s != nil:
		w.WriteHeader(http.StatusConflict)
		return
	case want != "" && want != current:
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	default:
		version = b.set(name, value)
		b.stats.Writes++
		if key != "" {
			b.done[key] = version
		}
	}
	w.Header().Set("Version", version)
}
