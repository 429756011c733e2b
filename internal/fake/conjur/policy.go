package conjur

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// loading is one policy load. Records and grants change as it goes; what fails is taken back as a whole.
type loading struct {
	s       *Server
	policy  string          // full id of the policy that is loaded
	update  bool            // records that exist get the annotations of the new policy
	deletes bool            // deletions are allowed
	named   map[string]bool // records of the text
	created []string        // roles with an API key that are new
	later   []func() error  // what refers to other records, after all are there
}

// invalid is a fault of a policy's text.
type invalid struct{ message string }

func (e invalid) Error() string { return e.message }

// load serves POST (append), PATCH (append, update, delete) and PUT (replace) of a policy.
func (s *Server) load(caller, method, name string, text []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id("policy", name)
	privilege := map[string]string{http.MethodPost: "create", http.MethodPatch: "update", http.MethodPut: "update"}[method]
	target := s.visible(caller, id)
	switch {
	case privilege == "":
		return empty(http.StatusNotFound)
	case target == nil:
		return missing(id)
	case !s.allowed(caller, privilege, target):
		return empty(http.StatusForbidden)
	case len(text) == 0:
		return unpermitted("is not present")
	}
	before := s.snapshot()
	l := &loading{s: s, policy: id, update: method != http.MethodPost, deletes: method != http.MethodPost, named: map[string]bool{}}
	var doc yaml.Node
	err := yaml.Unmarshal(text, &doc)
	if err != nil {
		return syntax(err)
	}
	if err = l.run(&doc, method == http.MethodPut); err != nil {
		s.restore(before)
		if errors.Is(err, errDeletion) {
			return unpermitted("may not contain deletion statements")
		}
		return failure(http.StatusUnprocessableEntity, "policy_invalid", err.Error())
	}
	s.versions[id]++
	type role struct {
		ID  string `json:"id"`
		Key string `json:"api_key"`
	}
	roles := map[string]role{}
	for _, id := range l.created {
		roles[id] = role{id, s.keys[id]}
	}
	return asJSON(http.StatusCreated, map[string]any{"created_roles": roles, "version": s.versions[id]})
}

var errDeletion = errors.New("a deletion in a policy that is appended")

func unpermitted(why string) answer {
	return asJSON(http.StatusUnprocessableEntity, map[string]any{"error": problem{
		Code: "validation_failed", Message: "policy_text " + why,
		Details: []map[string]string{{"code": "validation_failed", "target": "policy_text", "message": why}},
	}})
}

// syntax is a text that is no YAML. Conjur tells the place besides.
func syntax(err error) answer {
	line := 1
	var at *yaml.LoadErrors
	if errors.As(err, &at) && len(at.Errors) > 0 {
		line = at.Errors[0].Mark.Line
	}
	return asJSON(http.StatusUnprocessableEntity, map[string]any{"error": problem{
		Code: "policy_invalid", Message: "did not find expected node content while parsing the policy",
		Inner: map[string]any{"code": "policy_invalid", "filename": nil, "line": line, "column": 1},
	}})
}

type state struct {
	resources map[string]*resource
	grants    map[string]map[string]bool
	keys      map[string]string
}

func (s *Server) snapshot() state {
	st := state{map[string]*resource{}, map[string]map[string]bool{}, maps.Clone(s.keys)}
	for id, r := range s.resources {
		copied := *r
		copied.annotations, copied.permissions = slices.Clone(r.annotations), slices.Clone(r.permissions)
		st.resources[id] = &copied
	}
	for m, roles := range s.grants {
		st.grants[m] = maps.Clone(roles)
	}
	return st
}

func (s *Server) restore(st state) { s.resources, s.grants, s.keys = st.resources, st.grants, st.keys }

func (l *loading) run(doc *yaml.Node, replace bool) error {
	_, _, name := split(l.policy)
	prefix := name + "/"
	if name == "root" {
		prefix = ""
	}
	for _, n := range doc.Content {
		if err := l.statements(n, scope{prefix, l.policy}); err != nil {
			return err
		}
	}
	for _, f := range l.later {
		if err := f(); err != nil {
			return err
		}
	}
	if replace {
		for id, r := range l.s.resources {
			if r.policy == l.policy && !l.named[id] {
				l.s.remove(id)
			}
		}
	}
	return nil
}

// remove deletes a record with what it owns. The caller holds the lock.
func (s *Server) remove(id string) {
	if s.resources[id] == nil {
		return
	}
	delete(s.resources, id)
	delete(s.keys, id)
	delete(s.grants, id)
	for _, roles := range s.grants {
		delete(roles, id)
	}
	for other, r := range s.resources {
		r.permissions = slices.DeleteFunc(r.permissions, func(p permission) bool { return p.Role == id })
		if r.owner == id {
			s.remove(other)
		}
	}
}

// scope is where a statement stands: what its relative ids begin with, and who owns its records.
type scope struct{ prefix, owner string }

func (l *loading) statements(n *yaml.Node, in scope) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return l.statements(n.Alias, in)
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			if err := l.statements(c, in); err != nil {
				return err
			}
		}
		return nil
	case n.Tag == "!!null":
		return nil
	}
	switch n.Tag {
	case "!permit", "!grant":
		l.later = append(l.later, func() error { return l.relation(n, in) })
		return nil
	case "!delete", "!deny", "!revoke":
		if !l.deletes {
			return errDeletion
		}
		l.later = append(l.later, func() error { return l.relation(n, in) })
		return nil
	case "!policy", "!variable", "!host", "!user", "!group", "!layer", "!webservice":
		return l.record(n, in)
	}
	return invalid{fmt.Sprintf("Unrecognized data type '%s'", n.Tag)}
}

// record declares a resource.
func (l *loading) record(n *yaml.Node, in scope) error {
	id, err := l.reference(n, in)
	if err != nil {
		return err
	}
	l.named[id] = true
	_, kind, _ := split(id)
	r := l.s.resources[id]
	if r == nil {
		r = &resource{id: id, owner: in.owner, policy: l.policy, created: l.s.now()}
		l.s.resources[id] = r
		if kind == "host" || kind == "user" {
			l.s.keys[id] = newKey()
			l.created = append(l.created, id)
		}
	}
	l.annotate(r, field(n, "annotations"))
	l.later = append(l.later, func() error { return l.own(r, field(n, "owner"), in) })
	if body := field(n, "body"); kind == "policy" && body != nil {
		_, _, name := split(id)
		return l.statements(body, scope{name + "/", id})
	}
	return nil
}

func (l *loading) annotate(r *resource, n *yaml.Node) {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		a := annotation{n.Content[i].Value, n.Content[i+1].Value, l.policy}
		at := slices.IndexFunc(r.annotations, func(x annotation) bool { return x.Name == a.Name })
		switch {
		case at < 0:
			r.annotations = append(r.annotations, a)
		case l.update:
			r.annotations[at] = a
		}
	}
	slices.SortFunc(r.annotations, func(a, b annotation) int { return strings.Compare(a.Name, b.Name) })
}

// own settles who owns a record; who owns a role has it.
func (l *loading) own(r *resource, n *yaml.Node, in scope) error {
	if n != nil {
		owner, err := l.existing(n, in)
		if err != nil {
			return err
		}
		r.owner = owner
	}
	if _, kind, _ := split(r.id); kind != "variable" && kind != "webservice" {
		l.s.grant(r.id, r.owner)
	}
	return nil
}

// relation applies what is said of records that exist: permits, grants, and their opposites.
func (l *loading) relation(n *yaml.Node, in scope) error {
	if n.Tag == "!delete" {
		id, err := l.reference(field(n, "record"), in)
		if err == nil {
			l.s.remove(id)
		}
		return err
	}
	roles, err := l.all(n, in, "role", "roles")
	if err != nil {
		return err
	}
	if n.Tag == "!grant" || n.Tag == "!revoke" {
		members, err := l.all(n, in, "member", "members")
		for _, role := range roles {
			for _, m := range members {
				if l.s.grant(role, m); n.Tag == "!revoke" {
					delete(l.s.grants[m], role)
				}
			}
		}
		return err
	}
	resources, err := l.all(n, in, "resource", "resources")
	for _, id := range resources {
		for _, role := range roles {
			for _, p := range items(n, "privilege", "privileges") {
				l.permit(l.s.resources[id], permission{p.Value, role, l.policy}, n.Tag == "!permit")
			}
		}
	}
	return err
}

func (l *loading) permit(r *resource, p permission, allow bool) {
	same := func(x permission) bool { return x.Privilege == p.Privilege && x.Role == p.Role }
	r.permissions = slices.DeleteFunc(r.permissions, same)
	if allow {
		r.permissions = append(r.permissions, p)
	}
	slices.SortFunc(r.permissions, func(a, b permission) int { return strings.Compare(a.Role+" "+a.Privilege, b.Role+" "+b.Privilege) })
}

// all gives the ids of the records that a statement names under a key.
func (l *loading) all(n *yaml.Node, in scope, keys ...string) (ids []string, err error) {
	for _, item := range items(n, keys...) {
		id, err := l.existing(item, in)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (l *loading) existing(n *yaml.Node, in scope) (string, error) {
	id, err := l.reference(n, in)
	if err != nil {
		return "", err
	}
	if l.s.resources[id] == nil && l.s.keys[id] == "" {
		account, kind, name := split(id)
		return "", invalid{fmt.Sprintf("%s '%s' not found in account '%s'", capitalized(kind), name, account)}
	}
	return id, nil
}

// reference gives the full id of a tagged node: relative to the policy that it stands in, or absolute with a slash.
func (l *loading) reference(n *yaml.Node, in scope) (string, error) {
	if n == nil {
		return "", invalid{"record has a blank id"}
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	kind, name := strings.TrimPrefix(n.Tag, "!"), n.Value
	if n.Kind == yaml.MappingNode {
		name = ""
		if id := field(n, "id"); id != nil {
			name = id.Value
		}
	}
	absolute, isAbsolute := strings.CutPrefix(name, "/")
	switch {
	case name == "" && in.prefix == "", absolute == "" && isAbsolute:
		return "", invalid{kind + " has a blank id"}
	case name == "": // the record that stands for the policy itself
		return l.s.id(kind, strings.TrimSuffix(in.prefix, "/")), nil
	case isAbsolute:
		return l.s.id(kind, absolute), nil
	case kind == "user" && in.prefix != "":
		return l.s.id(kind, name+"@"+strings.ReplaceAll(strings.TrimSuffix(in.prefix, "/"), "/", "-")), nil
	}
	return l.s.id(kind, in.prefix+name), nil
}

// field gives the member of a mapping; nil: none.
func field(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// items gives what stands under the first of several keys that is there, one or a list.
func items(n *yaml.Node, keys ...string) []*yaml.Node {
	for _, key := range keys {
		v := field(n, key)
		if v == nil {
			continue
		}
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		if v.Kind == yaml.SequenceNode {
			return v.Content
		}
		return []*yaml.Node{v}
	}
	return nil
}
