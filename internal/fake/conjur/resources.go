package conjur

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resource is a record of a policy: a variable, a host, a policy itself.
type resource struct {
	id, owner, policy string
	created           time.Time
	annotations       []annotation // by name
	permissions       []permission // in the order in which Conjur lists them
	secrets           []version    // oldest first
}

type annotation struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Policy string `json:"policy"`
}

type permission struct {
	Privilege string `json:"privilege"`
	Role      string `json:"role"`
	Policy    string `json:"policy"`
}

type version struct {
	number int
	value  []byte
}

// listLimit is how many resources a listing holds at most, and without a limit.
const listLimit = 1000

// grant lets a member have a role. The caller holds the lock.
func (s *Server) grant(role, member string) {
	if s.grants[member] == nil {
		s.grants[member] = map[string]bool{}
	}
	s.grants[member][role] = true
}

// roles gives a role with all that it has through grants and ownership. The caller holds the lock.
func (s *Server) roles(role string) map[string]bool {
	all := map[string]bool{role: true}
	for todo := []string{role}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		for r := range s.grants[next] {
			if !all[r] {
				all[r] = true
				todo = append(todo, r)
			}
		}
	}
	return all
}

// allowed reports whether a role has a privilege on a resource; an owner has all. The caller holds the lock.
func (s *Server) allowed(role, privilege string, r *resource) bool {
	if r == nil {
		return false
	}
	has := s.roles(role)
	return has[r.owner] || slices.ContainsFunc(r.permissions, func(p permission) bool { return p.Privilege == privilege && has[p.Role] })
}

// visible gives a resource on which a role has any privilege; else nil. The caller holds the lock.
func (s *Server) visible(role, id string) *resource {
	r := s.resources[id]
	if r == nil {
		return nil
	}
	has := s.roles(role)
	if has[r.owner] || has[r.id] || slices.ContainsFunc(r.permissions, func(p permission) bool { return has[p.Role] }) {
		return r
	}
	return nil
}

// list serves /resources/ACCOUNT[/KIND]. The search is by words in Conjur; here it is by text.
func (s *Server) list(caller string, path []string, q url.Values) answer {
	kind := q.Get("kind")
	if len(path) > 1 {
		kind = path[1]
	}
	limit, offset, fault := window(q)
	if fault != "" {
		return failure(http.StatusUnprocessableEntity, "unprocessable_entity", fault)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []any{}
	if path[0] == s.Account {
		for _, id := range s.sorted() {
			_, k, name := split(id)
			if (kind == "" || k == kind) && strings.Contains(name, q.Get("search")) && s.visible(caller, id) != nil {
				out = append(out, s.described(id))
			}
		}
	}
	if q.Get("count") == "true" {
		return asJSON(http.StatusOK, map[string]int{"count": len(out)})
	}
	out = out[min(offset, len(out)):]
	return asJSON(http.StatusOK, out[:min(limit, len(out))])
}

// window reads limit and offset. With an offset alone the limit is 10.
func window(q url.Values) (limit, offset int, fault string) {
	limit, offset = listLimit, 0
	var err error
	if text := q.Get("offset"); text != "" {
		limit = 10
		if offset, err = strconv.Atoi(text); err != nil || offset < 0 {
			return 0, 0, "'offset' contains an invalid value. 'offset' must be an integer greater than or equal to 0."
		}
	}
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit <= 0 {
			return 0, 0, "'limit' contains an invalid value. 'limit' must be a positive integer."
		}
	}
	if limit > listLimit {
		return 0, 0, "'Limit' parameter must not exceed " + strconv.Itoa(listLimit)
	}
	return limit, offset, ""
}

func (s *Server) sorted() []string {
	ids := make([]string, 0, len(s.resources))
	for id := range s.resources {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// show serves one resource, and the question whether a role has a privilege on it.
func (s *Server) show(caller, id string, q url.Values) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.visible(caller, id)
	if r == nil {
		return missing(id)
	}
	if !q.Has("check") {
		return asJSON(http.StatusOK, s.described(id))
	}
	role := caller
	if asked := q.Get("role"); asked != "" {
		role = s.qualified(asked)
	}
	if !s.allowed(role, q.Get("privilege"), r) {
		return empty(http.StatusNotFound)
	}
	return answer{status: http.StatusNoContent}
}

// described is a resource as JSON. The caller holds the lock.
func (s *Server) described(id string) any {
	r := s.resources[id]
	type secret struct {
		Version int     `json:"version"`
		Expires *string `json:"expires_at"`
	}
	out := struct {
		Created     string       `json:"created_at"`
		ID          string       `json:"id"`
		Owner       string       `json:"owner"`
		Policy      string       `json:"policy,omitempty"`
		Permissions []permission `json:"permissions"`
		Annotations []annotation `json:"annotations"`
		Secrets     *[]secret    `json:"secrets,omitempty"`
	}{r.created.UTC().Format(railsTime), r.id, r.owner, r.policy, append([]permission{}, r.permissions...), append([]annotation{}, r.annotations...), nil}
	if _, kind, _ := split(id); kind == "variable" {
		kept := []secret{}
		for _, v := range r.secrets {
			kept = append(kept, secret{Version: v.number})
		}
		out.Secrets = &kept
	}
	return out
}
