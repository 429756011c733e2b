package conjur

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answer is what a request gets. A nil body is an empty one.
type answer struct {
	status   int
	kind     string // content type
	encoding string // content encoding
	body     []byte
}

// empty is how Rails answers with a status alone.
func empty(status int) answer { return answer{status: status, kind: "text/html"} }

func asJSON(status int, v any) answer {
	b, err := json.Marshal(v) // which escapes <, > and & as Rails does
	if err != nil {
		return empty(http.StatusInternalServerError)
	}
	return answer{status: status, kind: "application/json; charset=utf-8", body: b}
}

// failure is the object that every error with a body has.
func failure(status int, code, message string) answer {
	return asJSON(status, map[string]any{"error": problem{Code: code, Message: message}})
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target,omitempty"`
	Details any    `json:"details,omitempty"`
	Inner   any    `json:"innererror,omitempty"`
}

// missing is a record that does not exist or that the caller may not see.
func missing(id string) answer {
	account, kind, name := split(id)
	return asJSON(http.StatusNotFound, map[string]any{"error": problem{
		Code: "not_found", Message: fmt.Sprintf("%s '%s' not found in account '%s'", capitalized(kind), name, account), Target: kind,
		Details: map[string]string{"code": "not_found", "target": "id", "message": id},
	}})
}

func split(id string) (account, kind, name string) {
	account, rest, _ := strings.Cut(id, ":")
	kind, name, _ = strings.Cut(rest, ":")
	return account, kind, name
}

func capitalized(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}

// serve takes a path apart at its slashes before it decodes them, since an identifier may be escaped as a whole.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for i, p := range parts {
		if parts[i], err = url.PathUnescape(p); err != nil {
			write(w, empty(http.StatusBadRequest))
			return
		}
	}
	write(w, s.answer(r, parts, body))
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", a.kind)
	if a.encoding != "" {
		w.Header().Set("Content-Encoding", a.encoding)
	}
	w.WriteHeader(a.status)
	_, _ = io.Copy(w, bytes.NewReader(a.body))
}

func (s *Server) answer(r *http.Request, parts []string, body []byte) answer {
	switch {
	case parts[0] == "":
		return answer{status: http.StatusOK, kind: "text/html; charset=utf-8", body: []byte("<html><body>Version 1.22.3</body></html>")}
	case parts[0] == "authenticators" && len(parts) == 1:
		return s.authenticators()
	case strings.HasPrefix(parts[0], "authn"):
		return s.authn(r, parts, body)
	}
	caller, refusal := s.caller(r.Header.Get("Authorization"))
	if refusal != "" {
		return answer{status: http.StatusUnauthorized, kind: "text/plain", body: []byte(refusal)}
	}
	switch {
	case parts[0] == "whoami":
		return s.whoami(r, caller)
	case parts[0] == "secrets" && len(parts) == 1 && r.Method == http.MethodGet:
		return s.batch(caller, r.URL.Query().Get("variable_ids"), strings.EqualFold(r.Header.Get("Accept-Encoding"), "base64"))
	case len(parts) < 2:
		return empty(http.StatusNotFound)
	case parts[0] == "resources" && len(parts) < 4 && r.Method == http.MethodGet:
		return s.list(caller, parts[1:], r.URL.Query())
	case len(parts) < 4:
		return empty(http.StatusNotFound)
	}
	kind, name := parts[2], strings.Join(parts[3:], "/")
	if parts[1] != s.Account {
		return s.elsewhere(parts[0], parts[1]+":"+kind+":"+name)
	}
	switch {
	case parts[0] == "resources" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return s.show(caller, s.id(kind, name), r.URL.Query())
	case parts[0] == "secrets" && r.Method == http.MethodGet && kind == "variable":
		return s.secret(caller, name, r.URL.Query())
	case parts[0] == "secrets" && r.Method == http.MethodPost && kind == "variable":
		return s.setSecret(caller, kind, name, body)
	case parts[0] == "policies" && kind == "policy":
		return s.load(caller, r.Method, name, body)
	}
	return empty(http.StatusNotFound)
}

// elsewhere is what a request for another account gets.
func (s *Server) elsewhere(route, id string) answer {
	if route == "secrets" {
		return noValue(id)
	}
	return missing(id)
}
