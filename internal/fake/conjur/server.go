// Package conjur is a CyberArk Conjur for tests: one account in memory. Its answers are those of Conjur 1.22, byte for byte
// where a client can see it; e2e/conjur runs CyberArk's own Python client against it. It reads policies as far as variables,
// hosts, users, groups, layers, webservices and nested policies go, with permits, grants and deletions.
//
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/lp_rest_api.htm
package conjur

import (
	"crypto/rand"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// TokenLife is how long an access token lives.
const TokenLife = 480 * time.Second

// Server is a Conjur with one account and its user "admin". All methods are safe for concurrent use.
type Server struct {
	// Faults are what the next requests meet, logins included.
	Faults fault.Injector
	// URL is where it listens, once started.
	URL string
	// Account is the only account there is.
	Account string

	mu        sync.Mutex
	resources map[string]*resource
	grants    map[string]map[string]bool // by member: the roles that it has
	keys      map[string]string          // by role: its API key
	accepted  map[credential]string      // what other authenticators take, and for whom
	versions  map[string]int             // by policy: how often it was loaded
	signing   []byte
	slipped   time.Duration // how far the server's clock is ahead
	seen      []Request
}

// Request is one that has reached the server, whatever became of it.
type Request struct {
	Method, Path  string // the path as it was sent, escaped
	Query         string // as it was sent
	Authorization string
	Body          int // bytes
}

// New makes a server without policies.
func New(account string) *Server {
	s := &Server{
		Account: account, resources: map[string]*resource{}, grants: map[string]map[string]bool{}, keys: map[string]string{},
		accepted: map[credential]string{}, versions: map[string]int{}, signing: []byte(rand.Text()),
	}
	admin, root := s.id("user", "admin"), s.id("policy", "root")
	s.keys[admin] = newKey()
	s.resources[root] = &resource{id: root, owner: admin, created: s.now()}
	s.grant(root, admin)
	return s
}

// Start serves the account "myorg" on loopback until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New("myorg")
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// StartTLS is [Start] with a certificate, and asks clients for theirs.
func StartTLS(t testing.TB, certificate tls.Certificate) *Server {
	t.Helper()
	s := New("myorg")
	h := httptest.NewUnstartedServer(s.Handler())
	h.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	h.StartTLS()
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// Handler serves the account, with the faults in front.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Authorization"), int(r.ContentLength)})
		s.mu.Unlock()
		s.Faults.Handler(http.HandlerFunc(s.serve)).ServeHTTP(w, r)
	})
}

// Load appends to a policy as the user admin: "root", "app".
func (s *Server) Load(t testing.TB, policy, text string) {
	t.Helper()
	if a := s.load(s.id("user", "admin"), http.MethodPost, policy, []byte(text)); a.status != http.StatusCreated {
		t.Fatalf("load into policy %q: status %d: %s", policy, a.status, a.body)
	}
}

// Change adds to a policy and removes from it as the user admin.
func (s *Server) Change(t testing.TB, policy, text string) {
	t.Helper()
	if a := s.load(s.id("user", "admin"), http.MethodPatch, policy, []byte(text)); a.status != http.StatusCreated {
		t.Fatalf("change policy %q: status %d: %s", policy, a.status, a.body)
	}
}

// Set gives a declared variable a value.
func (s *Server) Set(t testing.TB, variable, value string) {
	t.Helper()
	if a := s.setSecret(s.id("user", "admin"), "variable", variable, []byte(value)); a.status != http.StatusCreated {
		t.Fatalf("set %q: status %d", variable, a.status)
	}
}

// Value gives the current value of a variable and how many versions are kept; empty and 0: none.
func (s *Server) Value(variable string) (value string, versions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resources[s.id("variable", variable)]
	if r == nil || len(r.secrets) == 0 {
		return "", 0
	}
	return string(r.secrets[len(r.secrets)-1].value), len(r.secrets)
}

// APIKey gives the key of a login: "admin", "host/app/gw".
func (s *Server) APIKey(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[s.roleOf(login)]
}

// Rotate gives a login a new API key. Its tokens hold on, as Conjur's do.
func (s *Server) Rotate(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := newKey()
	s.keys[s.roleOf(login)] = k
	return k
}

// Accept lets an authenticator ("authn-jwt", service "k8s") take a credential for a login. The credential is the token for
// authn-jwt, authn-azure and authn-gcp (which has no service), the common name or the URI of a certificate for authn-cert,
// the access key id for authn-iam, the password for authn-ldap.
func (s *Server) Accept(authenticator, service, secret, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[credential{authenticator, service, secret}] = login
}

// Refuse takes back what Accept allowed.
func (s *Server) Refuse(authenticator, service, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accepted, credential{authenticator, service, secret})
}

// Forget makes every token that was given invalid, as a new signing key does.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signing = []byte(rand.Text())
}

// Pass lets time pass on the server's clock, so that tokens end.
func (s *Server) Pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slipped += d
}

// Requests gives those that came so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.seen...)
}

// Count gives how many requests came whose "METHOD /path" begins so: "POST /authn".
func (s *Server) Count(prefix string) (n int) {
	for _, r := range s.Requests() {
		if strings.HasPrefix(r.Method+" "+r.Path, prefix) {
			n++
		}
	}
	return n
}

func (s *Server) now() time.Time { return time.Now().Add(s.slipped) }

func (s *Server) id(kind, identifier string) string { return s.Account + ":" + kind + ":" + identifier }

// qualified gives a role that may be named without the account in full.
func (s *Server) qualified(id string) string {
	if strings.Count(id, ":") == 1 {
		return s.Account + ":" + id
	}
	return id
}

func newKey() string { return strings.ToLower(rand.Text() + rand.Text()) }
