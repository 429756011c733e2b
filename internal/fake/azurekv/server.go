// Package azurekv is a fake of Azure Key Vault's secrets and of the parts of Entra ID and the instance metadata service
// that log in to it. It answers what the service's documentation and recordings of the service say; the recordings are
// replayed through it by tests.
//
// What takes the service seconds, to delete, recover and purge, takes the fake a number of looks: requests that find the
// secret on its way. So tests wait for conditions and not for clocks.
package azurekv

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// Who may log in, unless a test says otherwise.
const (
	Tenant   = "11111111-2222-3333-4444-555555555555"
	ClientID = "99999999-8888-7777-6666-555555555555"
	Secret   = "fake~client~secret" //nolint:gosec // of the fake
	ObjectID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	Resource = "https://vault.azure.net"
)

// Server is a vault, an authority and a metadata service. Its methods are safe for concurrent use.
type Server struct {
	Faults      fault.Injector // of requests to the vault
	LoginFaults fault.Injector // of requests for tokens

	mu        sync.Mutex
	secrets   map[string]*secret // by lower-case name
	looks     int
	protected bool
	denied    func(action, name string) bool
	authority string // "https://HOST" that challenges name; empty: the request's own host
	login     logins
	requests  []string

	http *httptest.Server
}

// New makes a server that serves nothing yet; [Server.Handler] does.
func New() *Server {
	return &Server{secrets: map[string]*secret{}, looks: 1, login: newLogins(), denied: func(string, string) bool { return false }}
}

// Start serves all of it over TLS on loopback until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	s.http = httptest.NewUnstartedServer(s.Handler())
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
	return s
}

// URL is where a started server answers, as vault and as authority.
func (s *Server) URL() string { return s.http.URL }

// CA is the certificate to trust, as PEM.
func (s *Server) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}))
}

// Handler serves the vault, the authority and the metadata service, which are told apart by their paths.
func (s *Server) Handler() http.Handler {
	vault := s.Faults.Handler(http.HandlerFunc(s.serveVault))
	login := http.NewServeMux()
	login.HandleFunc("GET /common/discovery/instance", discovery)
	login.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", openID)
	login.Handle("POST /{tenant}/oauth2/v2.0/token", s.LoginFaults.Handler(http.HandlerFunc(s.token)))
	login.Handle("GET /metadata/identity/oauth2/token", s.LoginFaults.Handler(http.HandlerFunc(s.metadata)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
		case "secrets", "deletedsecrets":
			vault.ServeHTTP(w, r)
		default:
			login.ServeHTTP(w, r)
		}
	})
}

// Looks says how many requests find a secret on its way from one state to another; 1 at first.
func (s *Server) Looks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks = n
}

// Protect turns the vault's purge protection on.
func (s *Server) Protect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.protected = true
}

// Deny refuses actions on names, as a role that lacks them does: get, list, set, delete, recover, purge.
func (s *Server) Deny(denied func(action, name string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = denied
}

// Authority makes challenges name an authority that is not the vault's own address.
func (s *Server) Authority(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authority = address
}

// Requests are the methods and paths of all requests to the vault that had a good token.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// serveVault judges the login first, as the service does, then the request.
func (s *Server) serveVault(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if why := s.login.refuse(token); why != "" {
		authority := s.authority
		if authority == "" {
			authority = "https://" + r.Host
		}
		w.Header().Set("WWW-Authenticate", `Bearer authorization="`+authority+"/"+Tenant+`", resource="`+Resource+`"`)
		fail(w, http.StatusUnauthorized, "Unauthorized", "", why)
		return
	}
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	if r.URL.Query().Get("api-version") == "" {
		fail(w, http.StatusBadRequest, "BadParameter", "", "The request URI is missing the api-version parameter.")
		return
	}
	s.route(w, r)
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	kind, rest := parts[0], parts[1:]
	deletedKind := kind == "deletedsecrets"
	switch n := len(rest); {
	case n == 0 && r.Method == http.MethodGet && !deletedKind:
		s.list(w, r)
		return
	case n == 0 || n > 2:
		fail(w, http.StatusNotFound, "", "", "no such route")
		return
	case !nameForm.MatchString(rest[0]):
		fail(w, http.StatusBadRequest, "BadParameter", "", "The request URI contains an invalid name: "+rest[0])
		return
	}
	name, more := rest[0], append(rest[1:], "")[0]
	switch route := r.Method + " " + kind; {
	case route == "PUT secrets" && more == "":
		s.set(w, r, name)
	case route == "GET secrets" && more == "versions":
		s.versions(w, r, name)
	case route == "GET secrets":
		s.get(w, r, name, more)
	case route == "PATCH secrets":
		s.update(w, r, name, more)
	case route == "DELETE secrets" && more == "":
		s.delete(w, r, name)
	case route == "GET deletedsecrets" && more == "":
		s.getDeleted(w, r, name)
	case route == "POST deletedsecrets" && more == "recover":
		s.recover(w, r, name)
	case route == "DELETE deletedsecrets" && more == "":
		s.purge(w, name)
	default:
		fail(w, http.StatusMethodNotAllowed, "", "", "no such method")
	}
}

// allowed answers the refusal of a role that lacks an action.
func (s *Server) allowed(w http.ResponseWriter, action, name string) bool {
	if !s.denied(action, name) {
		return true
	}
	fail(w, http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource. Action: '"+action+"'")
	return false
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("x-ms-request-id", "fake-request")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, status int, code, inner, message string) {
	e := map[string]any{"code": code, "message": message}
	if inner != "" {
		e["innererror"] = map[string]any{"code": inner}
	}
	answer(w, status, map[string]any{"error": e})
}
