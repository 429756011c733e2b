package conjur

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// keptVersions is how many versions of a variable are kept.
const keptVersions = 20

// noValue is a variable that is missing, has no value or may not be seen: Conjur does not tell these apart.
func noValue(id string) answer {
	return failure(http.StatusNotFound, "not_found", fmt.Sprintf("CONJ00076E Variable %s is empty or not found.", id))
}

func (s *Server) secret(caller, name string, q url.Values) answer {
	id := s.id("variable", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.visible(caller, id)
	if r == nil {
		return noValue(id)
	}
	if !s.allowed(caller, "execute", r) {
		return empty(http.StatusForbidden)
	}
	kind := "application/octet-stream"
	for _, a := range r.annotations {
		if a.Name == "conjur/mime_type" {
			kind = a.Value
		}
	}
	if !q.Has("version") {
		if len(r.secrets) == 0 {
			return noValue(id)
		}
		return answer{status: http.StatusOK, kind: kind, body: r.secrets[len(r.secrets)-1].value}
	}
	n, err := strconv.Atoi(q.Get("version"))
	if err != nil {
		return failure(http.StatusUnprocessableEntity, "argument_error", "invalid type for parameter 'version'")
	}
	for _, v := range r.secrets {
		if v.number == n {
			return answer{status: http.StatusOK, kind: kind, body: v.value}
		}
	}
	return noValue(id)
}

func (s *Server) setSecret(caller, kind, name string, value []byte) answer {
	id := s.id(kind, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.visible(caller, id)
	switch {
	case r == nil:
		return missing(id)
	case !s.allowed(caller, "update", r):
		return empty(http.StatusForbidden)
	case len(bytes.TrimFunc(value, unicode.IsSpace)) == 0: // as Ruby's blank? has it
		return failure(http.StatusUnprocessableEntity, "argument_error", "'value' may not be empty")
	}
	number := 1
	if n := len(r.secrets); n > 0 {
		if bytes.Equal(r.secrets[n-1].value, value) { // no new version of the same value
			return empty(http.StatusCreated)
		}
		number = r.secrets[n-1].number + 1
	}
	r.secrets = append(r.secrets, version{number, bytes.Clone(value)})
	r.secrets = r.secrets[max(0, len(r.secrets)-keptVersions):]
	return empty(http.StatusCreated)
}

// batch answers all variables or none. Permissions are judged before it is seen whether all exist.
func (s *Server) batch(caller, list string, encode bool) answer {
	ids := strings.Split(list, ",")
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" {
			return failure(http.StatusUnprocessableEntity, "argument_error", "variable_ids")
		}
		seen[id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if r := s.resources[id]; r != nil && !s.allowed(caller, "execute", r) {
			return empty(http.StatusForbidden)
		}
	}
	for _, id := range ids {
		if s.resources[id] == nil {
			return noValue(id)
		}
	}
	if len(seen) != len(ids) { // it counts the records that it found, and then misses one that has no id
		return empty(http.StatusInternalServerError)
	}
	values := map[string]string{}
	for _, id := range ids {
		r := s.resources[id]
		if len(r.secrets) == 0 {
			return noValue(id)
		}
		value := r.secrets[len(r.secrets)-1].value
		switch {
		case encode:
			values[id] = base64Lines(value)
		case !utf8.Valid(value):
			return failure(http.StatusNotAcceptable, "not_acceptable",
				"CONJ00074E Issue encoding secret into JSON format, try including 'Accept-Encoding: base64' header in request.")
		default:
			values[id] = string(value)
		}
	}
	a := asJSON(http.StatusOK, values)
	if encode {
		a.encoding = "base64"
	}
	return a
}

// base64Lines is Ruby's encode64: a line break after every 60 characters and at the end.
func base64Lines(value []byte) string {
	text := base64.StdEncoding.EncodeToString(value)
	var b strings.Builder
	for len(text) > 0 {
		n := min(60, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}
