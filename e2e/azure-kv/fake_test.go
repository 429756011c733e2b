//go:build e2e && unix

package azurekv_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
)

// The fake is asked what the real service was asked, in the same order, and must answer alike: the same status and the same
// JSON, but for ids, times and tokens, which are new each time.
func TestTheFakeAnswersAsTheRealServiceDid(t *testing.T) {
	for _, name := range []string{"TestCRUD", "TestRecover", "TestListSecrets", "TestListSecretVersions", "TestBackupRestore", "TestListDeletedSecrets"} {
		t.Run(name, func(t *testing.T) {
			s := azurekv.New()
			srv := httptest.NewTLSServer(s.Handler())
			defer srv.Close()
			c := comparison{t: t, client: srv.Client(), base: srv.URL, token: s.Token(), ids: map[string]string{}}
			for i, e := range recorded(t, name) {
				c.compare(i, e)
			}
		})
	}
}

// comparison replays a recording through the fake. ids are the fake's versions by the recording's.
type comparison struct {
	t      *testing.T
	client *http.Client
	base   string
	token  string
	ids    map[string]string
	next   string // of the fake's last page
	ended  bool   // what follows needs an operation that the fake has not
}

// notFake are the operations that the provider has no use for and the fake none of.
var notFake = regexp.MustCompile(`/backup$|/secrets/restore$|^/deletedsecrets$`)

func (c *comparison) compare(i int, e *entry) {
	path := e.path()
	if c.ended = c.ended || strings.HasSuffix(path, "/restore"); c.ended || notFake.MatchString(path) {
		return
	}
	for theirs, ours := range c.ids {
		path = strings.ReplaceAll(path, theirs, ours)
	}
	target := c.base + path + "?api-version=7.4"
	if u, err := url.Parse(e.URI); err == nil && u.Query().Get("maxresults") != "" {
		target += "&maxresults=" + u.Query().Get("maxresults")
		if e.token() != "" {
			if c.next == "" {
				return // the real vault had rows of other tests, and so a page more
			}
			target = c.base + path + "?" + c.next
		}
	}
	status, raw := c.ask(e, target)
	if status == http.StatusNotFound && e.Method == http.MethodGet && e.Status == http.StatusOK {
		status, raw = c.ask(e, target) // what is on its way takes the service time and the fake looks
	}
	if status != e.Status {
		c.t.Fatalf("entry %d, %s %s: the fake answered %d, the service %d", i, e.Method, path, status, e.Status)
	}
	if e.Status == http.StatusNoContent {
		return
	}
	var ours, theirs any
	if json.Unmarshal(raw, &ours) != nil || json.Unmarshal(e.Response, &theirs) != nil {
		c.t.Fatalf("entry %d: an answer is not JSON", i)
	}
	c.learn(ours, theirs)
	if got, want := shape(ours), shape(theirs); got != want {
		c.t.Errorf("entry %d, %s %s: the fake answered\n%s\nthe service\n%s", i, e.Method, path, got, want)
	}
}

// ask makes the recorded request to the fake.
func (c *comparison) ask(e *entry, target string) (status int, body []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), e.Method, target, bytes.NewReader(e.Body))
	if err != nil {
		c.t.Fatal(err)
	}
	if e.Status != http.StatusUnauthorized {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// learn takes ids and links out of an answer.
func (c *comparison) learn(ours, theirs any) {
	a, _ := ours.(map[string]any)
	b, _ := theirs.(map[string]any)
	if x, y := last(a["id"]), last(b["id"]); x != "" && y != "" {
		c.ids[y] = x
	}
	link, _ := a["nextLink"].(string)
	c.next = ""
	if u, err := url.Parse(link); err == nil {
		c.next = u.RawQuery
	}
}

func last(id any) string {
	text, _ := id.(string)
	parts := strings.Split(text, "/")
	if len(parts) < 6 {
		return ""
	}
	return parts[5]
}

var (
	hostPart = regexp.MustCompile(`https://[^/"]+`)
	idPart   = regexp.MustCompile(`[0-9a-f]{32}`)
	timePart = regexp.MustCompile(`"(created|updated|deletedDate|scheduledPurgeDate)":[0-9.e+]+`)
	linkPart = regexp.MustCompile(`"nextLink":("[^"]*"|null)`)
)

// shape is an answer without what is new each time.
func shape(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	text := hostPart.ReplaceAllString(string(raw), "https://HOST")
	text = idPart.ReplaceAllString(text, "ID")
	text = timePart.ReplaceAllString(text, `"$1":TIME`)
	return linkPart.ReplaceAllString(text, `"nextLink":LINK`)
}
