package azurekv

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

var nameForm = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

const (
	maxValue = 25 << 10
	maxTags  = 15
	window   = 7 // days
)

// state is where a secret is in its life.
type state int

const (
	live state = iota
	deleting
	deleted
	recovering
	purging
)

// secret is one name with its versions, the current one last.
type secret struct {
	name     string // as it was first written
	versions []*version
	state    state
	looks    int // that still find it on its way
	at       int64
}

type version struct {
	id          string
	value       string
	contentType *string
	tags        map[string]string
	enabled     bool
	nbf, exp    *int64
	created     int64
	updated     int64
}

func (s *Server) now() int64 { return time.Now().Unix() }

// find gives the secret of a name, after one look at it.
func (s *Server) find(name string) *secret {
	x := s.secrets[strings.ToLower(name)]
	if x == nil || x.state == live || x.state == deleted {
		return x
	}
	if x.looks > 0 {
		x.looks--
		return x
	}
	switch x.state {
	case deleting:
		x.state = deleted
	case recovering:
		x.state = live
	case purging:
		delete(s.secrets, strings.ToLower(name))
		return nil
	}
	return x
}

func (s *Server) move(x *secret, to state) { x.state, x.looks = to, s.looks }

// conflict is what the service answers while a secret is on its way, or gone and not forgotten.
func conflict(w http.ResponseWriter, x *secret) bool {
	inner := map[state]string{deleting: "ObjectIsBeingDeleted", deleted: "ObjectIsDeletedButRecoverable", recovering: "ObjectIsBeingRecovered", purging: "ObjectIsBeingDeleted"}[x.state]
	if inner == "" {
		return false
	}
	fail(w, http.StatusConflict, "Conflict", inner, "Secret "+x.name+" is currently in a state that does not allow this operation: "+inner)
	return true
}

func notFound(w http.ResponseWriter, name string) {
	fail(w, http.StatusNotFound, "SecretNotFound", "", "A secret with (name/id) "+name+" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182")
}

func (s *Server) attributes(v *version) map[string]any {
	level := "CustomizedRecoverable+Purgeable"
	if s.protected {
		level = "CustomizedRecoverable"
	}
	a := map[string]any{"enabled": v.enabled, "created": v.created, "updated": v.updated, "recoveryLevel": level, "recoverableDays": window}
	if v.nbf != nil {
		a["nbf"] = *v.nbf
	}
	if v.exp != nil {
		a["exp"] = *v.exp
	}
	return a
}

// bundle describes a version; id is the part of its address after the vault.
func (s *Server) bundle(r *http.Request, v *version, id string) map[string]any {
	b := map[string]any{"id": "https://" + r.Host + "/secrets/" + id, "attributes": s.attributes(v)}
	if v.contentType != nil {
		b["contentType"] = *v.contentType
	}
	if len(v.tags) > 0 {
		b["tags"] = v.tags
	}
	return b
}

func (x *secret) current() *version { return x.versions[len(x.versions)-1] }

func (x *secret) version(id string) *version {
	for _, v := range x.versions {
		if id == "" && v == x.current() || strings.EqualFold(v.id, id) {
			return v
		}
	}
	return nil
}

// parameters is the body of a set and of an update.
type parameters struct {
	Value       *string           `json:"value"`
	ContentType *string           `json:"contentType"`
	Tags        map[string]string `json:"tags"`
	Attributes  *struct {
		Enabled *bool  `json:"enabled"`
		NBF     *int64 `json:"nbf"`
		Exp     *int64 `json:"exp"`
	} `json:"attributes"`
}

func (p parameters) apply(v *version) {
	if p.ContentType != nil {
		v.contentType = p.ContentType
	}
	if p.Tags != nil {
		v.tags = p.Tags
	}
	if a := p.Attributes; a != nil {
		if a.Enabled != nil {
			v.enabled = *a.Enabled
		}
		if a.NBF != nil {
			v.nbf = a.NBF
		}
		if a.Exp != nil {
			v.exp = a.Exp
		}
	}
}

// read takes the body of a request; false: it has been refused.
func (p *parameters) read(w http.ResponseWriter, r *http.Request) bool {
	if err := json.NewDecoder(r.Body).Decode(p); err != nil {
		fail(w, http.StatusBadRequest, "BadParameter", "", "The request body is not valid.")
		return false
	}
	if len(p.Tags) > maxTags {
		fail(w, http.StatusBadRequest, "BadParameter", "", "Too many tags.")
		return false
	}
	return true
}

func (s *Server) set(w http.ResponseWriter, r *http.Request, name string) {
	var p parameters
	if !s.allowed(w, "set", name) || !p.read(w, r) {
		return
	}
	if p.Value == nil || len(*p.Value) > maxValue || !utf8.ValidString(*p.Value) {
		fail(w, http.StatusBadRequest, "BadParameter", "", "Property value has invalid value, or is larger than 25k bytes.")
		return
	}
	if x := s.find(name); x != nil && conflict(w, x) {
		return
	}
	x, v := s.add(name, *p.Value, p)
	b := s.bundle(r, v, x.name+"/"+v.id)
	b["value"] = v.value
	answer(w, http.StatusOK, b)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, name, id string) {
	if !s.allowed(w, "get", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state != live || x.version(id) == nil {
		notFound(w, strings.Trim(name+"/"+id, "/"))
		return
	}
	v := x.version(id)
	if !v.enabled {
		fail(w, http.StatusForbidden, "Forbidden", "SecretDisabled", "Operation get is not allowed on a disabled secret.")
		return
	}
	b := s.bundle(r, v, x.name+"/"+v.id)
	b["value"] = v.value
	answer(w, http.StatusOK, b)
}

func (s *Server) update(w http.ResponseWriter, r *http.Request, name, id string) {
	var p parameters
	if !s.allowed(w, "set", name) || !p.read(w, r) {
		return
	}
	x := s.find(name)
	if x == nil || x.state != live || x.version(id) == nil {
		notFound(w, strings.Trim(name+"/"+id, "/"))
		return
	}
	v := x.version(id)
	p.apply(v)
	v.updated = s.now()
	answer(w, http.StatusOK, s.bundle(r, v, x.name+"/"+v.id))
}

func (s *Server) deletedBundle(r *http.Request, x *secret) map[string]any {
	v := x.current()
	b := s.bundle(r, v, x.name+"/"+v.id)
	b["recoveryId"] = "https://" + r.Host + "/deletedsecrets/" + x.name
	b["deletedDate"], b["scheduledPurgeDate"] = x.at, x.at+window*24*3600
	return b
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request, name string) {
	if !s.allowed(w, "delete", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state == deleted {
		notFound(w, name)
		return
	}
	if conflict(w, x) {
		return
	}
	x.at = s.now()
	s.move(x, deleting)
	answer(w, http.StatusOK, s.deletedBundle(r, x))
}

func (s *Server) getDeleted(w http.ResponseWriter, r *http.Request, name string) {
	if !s.allowed(w, "get", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state != deleted {
		fail(w, http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: "+name)
		return
	}
	answer(w, http.StatusOK, s.deletedBundle(r, x))
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request, name string) {
	if !s.allowed(w, "recover", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state == live {
		fail(w, http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: "+name)
		return
	}
	if x.state != deleted && conflict(w, x) {
		return
	}
	s.move(x, recovering)
	answer(w, http.StatusOK, s.bundle(r, x.current(), x.name+"/"+x.current().id))
}

func (s *Server) purge(w http.ResponseWriter, name string) {
	if !s.allowed(w, "purge", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state == live {
		fail(w, http.StatusNotFound, "SecretNotFound", "", "Deleted Secret not found: "+name)
		return
	}
	if x.state != deleted && conflict(w, x) {
		return
	}
	if s.protected {
		fail(w, http.StatusForbidden, "Forbidden", "ForbiddenByPolicy", "Operation \"purge\" is not allowed because purge protection is enabled for this vault.")
		return
	}
	s.move(x, purging)
	w.WriteHeader(http.StatusNoContent)
}

// Disable turns the current version of a secret off, as an operator does in the portal.
func (s *Server) Disable(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.secrets[strings.ToLower(name)]; x != nil {
		x.current().enabled = false
	}
}

// Tags are those of the current version of a secret; nil where there is none.
func (s *Server) Tags(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.secrets[strings.ToLower(name)]; x != nil {
		return x.current().tags
	}
	return nil
}

// Set writes a secret without a request.
func (s *Server) Set(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(name, value, parameters{})
}

// add makes a version, and its secret where there is none.
func (s *Server) add(name, value string, p parameters) (*secret, *version) {
	x := s.secrets[strings.ToLower(name)]
	if x == nil {
		x = &secret{name: name}
		s.secrets[strings.ToLower(name)] = x
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	v := &version{id: hex.EncodeToString(id), value: value, enabled: true, created: s.now(), updated: s.now()}
	p.apply(v)
	x.versions = append(x.versions, v)
	return x, v
}
