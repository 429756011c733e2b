package recordings

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// HTTPExchange is one request that was made to the real service over HTTP, and its answer.
type HTTPExchange struct {
	Request struct {
		Header    http.Header
		BodyParts [][]byte
	}
	Response struct {
		StatusCode int
		Header     http.Header
		Body       []byte
	}
}

// Target is the operation that the request names, as AWS's do: "TrentService.Decrypt".
func (e HTTPExchange) Target() string { return e.Request.Header.Get("X-Amz-Target") }

// Action is its last word.
func (e HTTPExchange) Action() string {
	_, action, _ := strings.Cut(e.Target(), ".")
	return action
}

// Asked is the body of the request.
func (e HTTPExchange) Asked() []byte { return bytes.Join(e.Request.BodyParts, nil) }

// HTTP runs f for every recording below a folder of a module, and fails where there are not so many.
func HTTP(t *testing.T, module, folder string, want int, f func(t *testing.T, exchanges []HTTPExchange)) {
	t.Helper()
	dir := filepath.Join(Dir(t, module), filepath.FromSlash(folder))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".replay" {
			return err
		}
		files++
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var file struct{ Entries []HTTPExchange }
		if err := json.Unmarshal(raw, &file); err != nil {
			return err
		}
		t.Run(name, func(t *testing.T) { f(t, file.Entries) })
		return nil
	})
	if err != nil || files != want {
		t.Errorf("%d files replayed (%v), want %d", files, err, want)
	}
}

// HTTPReplay answers requests as they were answered, in their order, and holds each against the one that was made then. It is
// safe for concurrent use.
type HTTPReplay struct {
	t    *testing.T
	same func(got, want []byte) bool // whether two bodies ask the same

	mu   sync.Mutex
	left []HTTPExchange
}

// NewHTTPReplay is a replay of exchanges.
func NewHTTPReplay(t *testing.T, exchanges []HTTPExchange, same func(got, want []byte) bool) *HTTPReplay {
	return &HTTPReplay{t: t, same: same, left: exchanges}
}

// Next gives the exchange that the next request will meet.
func (r *HTTPReplay) Next() (HTTPExchange, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.left) == 0 {
		return HTTPExchange{}, false
	}
	return r.left[0], true
}

// ServeHTTP answers the next request.
func (r *HTTPReplay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	target := q.Header.Get("X-Amz-Target")
	if err != nil || len(r.left) == 0 {
		r.t.Errorf("a request that was not recorded: %s (%v)", target, err)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	next := r.left[0]
	r.left = r.left[1:]
	if target != next.Target() || !r.same(body, next.Asked()) {
		r.t.Errorf("another request, %s, than %s as it was recorded", target, next.Target())
	}
	maps.Copy(w.Header(), next.Response.Header)
	w.WriteHeader(next.Response.StatusCode)
	_, _ = w.Write(next.Response.Body)
}
