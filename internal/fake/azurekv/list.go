package azurekv

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// pageMax is how many items the service gives at most.
const pageMax = 25

// list pages through the rows of all names, those of deleted secrets too, which it leaves out: as in the recordings, a
// page may be short or empty while a link follows.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, "list", "") {
		return
	}
	names := slices.Sorted(maps.Keys(s.secrets))
	s.page(w, r, names, func(name string) any {
		x := s.secrets[name]
		if x.state != live {
			return nil
		}
		return s.bundle(r, x.current(), x.name)
	})
}

// versions gives the versions in the order of their ids, which is that of chance.
func (s *Server) versions(w http.ResponseWriter, r *http.Request, name string) {
	if !s.allowed(w, "list", name) {
		return
	}
	x := s.find(name)
	if x == nil || x.state != live {
		answer(w, http.StatusOK, map[string]any{"value": []any{}, "nextLink": nil})
		return
	}
	var ids []string
	for _, v := range x.versions {
		ids = append(ids, v.id)
	}
	slices.Sort(ids)
	s.page(w, r, ids, func(id string) any { return s.bundle(r, x.version(id), x.name+"/"+id) })
}

// page answers the rows after the one that the token names.
func (s *Server) page(w http.ResponseWriter, r *http.Request, rows []string, item func(row string) any) {
	q := r.URL.Query()
	size := pageMax
	if text := q.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > pageMax {
			fail(w, http.StatusBadRequest, "BadParameter", "", "maxresults must be 1 to 25.")
			return
		}
		size = n
	}
	if token := q.Get("$skiptoken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			fail(w, http.StatusBadRequest, "BadParameter", "", "The skiptoken is not valid.")
			return
		}
		begin, found := slices.BinarySearch(rows, string(after))
		if found {
			begin++
		}
		rows = rows[begin:]
	}
	items, next := []any{}, any(nil)
	for n, row := range rows {
		if n == size {
			token := base64.RawURLEncoding.EncodeToString([]byte(rows[n-1]))
			link := "https://" + withPort(r.Host) + r.URL.Path + "?api-version=" + q.Get("api-version") + "&$skiptoken=" + token
			if q.Get("maxresults") != "" {
				link += "&maxresults=" + strconv.Itoa(size)
			}
			next = link
			break
		}
		if i := item(row); i != nil {
			items = append(items, i)
		}
	}
	answer(w, http.StatusOK, map[string]any{"value": items, "nextLink": next})
}

// withPort adds the port that the service's links have.
func withPort(host string) string {
	if strings.Contains(host, ":") {
		return host
	}
	return host + ":443"
}
