//go:build e2e && unix

package azurekv_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// entry is one request to the real service, and its answer. The host's name is replaced in the recordings.
type entry struct {
	Method   string          `json:"RequestMethod"`
	URI      string          `json:"RequestUri"`
	Body     json.RawMessage `json:"RequestBody"`
	Status   int             `json:"StatusCode"`
	Headers  map[string]any  `json:"ResponseHeaders"`
	Response json.RawMessage `json:"ResponseBody"`
	used     bool
}

func (e *entry) path() string {
	u, err := url.Parse(e.URI)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

func (e *entry) token() string {
	u, err := url.Parse(e.URI)
	if err != nil {
		return ""
	}
	return u.Query().Get("$skiptoken")
}

// recorded reads one recording.
func recorded(t *testing.T, name string) []*entry {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(recordings.Dir(t, "github.com/Azure/azure-sdk-for-go/sdk/keyvault/azsecrets"), "testdata", "recordings", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Entries []*entry }
	if err := json.Unmarshal(raw, &file); err != nil || len(file.Entries) == 0 {
		t.Fatalf("%s: %d entries, %v", name, len(file.Entries), err)
	}
	return file.Entries
}

// replay answers as the real service did: each request by the next recorded answer to it, and by the last one again where
// the plugin looks more often than the recorder did. A read that was not recorded gives what was written last; without a
// write the secret is missing, in the service's words.
type replay struct {
	t       *testing.T
	mu      sync.Mutex
	entries []*entry
	missing json.RawMessage
}

func (r *replay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = io.Copy(io.Discard, q.Body)
	challenge := q.Header.Get("Authorization") == ""
	var last, written *entry
	for _, e := range r.entries {
		switch unauthorized := e.Status == http.StatusUnauthorized; {
		case challenge && unauthorized: // the recorder met one, at its first request
			r.answer(w, e)
			return
		case e.used && e.Method == http.MethodPut && q.Method == http.MethodGet && e.path() == strings.TrimSuffix(q.URL.Path, "/"):
			written = e
			continue
		case challenge, unauthorized, e.Method != q.Method, e.path() != strings.TrimSuffix(q.URL.Path, "/"), e.token() != q.URL.Query().Get("$skiptoken"):
			continue
		}
		if last == nil || last.used {
			last = e
		}
	}
	if last == nil || last.used && last.Status == http.StatusNotFound {
		last = written
	}
	if name, ok := strings.CutPrefix(q.URL.Path, "/deletedsecrets/"); ok && q.Method == http.MethodGet && r.deleted("/deletedsecrets/"+name) == r.deleted("/secrets/"+name) {
		last = nil // not deleted yet, or purged: the recorder did not look then
	}
	if last == nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(r.missing)
		return
	}
	last.used = true
	r.answer(w, last)
}

// deleted reports whether a recorded deletion has happened.
func (r *replay) deleted(path string) bool {
	return slices.ContainsFunc(r.entries, func(e *entry) bool { return e.used && e.Method == http.MethodDelete && e.path() == path })
}

func (r *replay) answer(w http.ResponseWriter, e *entry) {
	for k, v := range e.Headers {
		text := fmt.Sprint(v)
		if k != "Content-Length" && k != "Transfer-Encoding" {
			w.Header().Set(k, text)
		}
	}
	w.WriteHeader(e.Status)
	if e.Status != http.StatusNoContent {
		_, _ = w.Write(e.Response)
	}
}

// onRecording opens a store in front of a recording. Logins were not recorded; those are the fake's.
func onRecording(t *testing.T, name string) *dial.Store {
	t.Helper()
	var missing json.RawMessage
	for _, e := range recorded(t, "TestRecover") {
		if e.Status == http.StatusNotFound && strings.HasPrefix(e.path(), "/secrets/") {
			missing = e.Response
		}
	}
	vault, login := &replay{t: t, entries: recorded(t, name), missing: missing}, azurekv.New().Handler()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/secrets") || strings.HasPrefix(r.URL.Path, "/deletedsecrets") {
			vault.ServeHTTP(w, r)
			return
		}
		login.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	tenant := regexp.MustCompile(`login\.windows\.net/([0-9a-f-]+)`).FindStringSubmatch(fmt.Sprint(vault.entries[0].Headers))
	if tenant == nil {
		t.Fatalf("%s begins with no challenge", name)
	}
	more := set{"tenant_id": azurekv.Tenant, "authority_host": srv.URL}
	for _, e := range vault.entries { // the recorder's tenant and resource become the fake's, which gives out the token
		for k, v := range e.Headers {
			e.Headers[k] = strings.NewReplacer(tenant[1], azurekv.Tenant, "https://local", azurekv.Resource).Replace(fmt.Sprint(v))
		}
	}
	_, st := openStore(t, settings(srv.URL, string(ca), more))
	return st
}

// put writes the secret of a recording, whose name and value end in the same number.
func put(t *testing.T, st *dial.Store, name, value string) string {
	t.Helper()
	r, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)})
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return r.Version
}

func TestTheRealServicesAnswersToAWriteAReadADeleteAndAPurge(t *testing.T) {
	st := onRecording(t, "TestCRUD")
	const name, id = "secret518723441", "d0215295974a4da8ab877cb69fefd5ec"
	if v := put(t, st, name, "value518723441"); v != id {
		t.Errorf("put: version %q, want %q", v, id)
	}
	got, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil || got.Version != id || !got.Value.Equal(sdk.SensitiveString("value518723441")) || got.Created.Unix() != 1680047573 {
		t.Errorf("get: version %q, made %v, %v", got.Version, got.Created, err)
	}
	m, err := st.Stat(t.Context(), sdk.StatRequest{Name: name})
	if err != nil || !maps.Equal(m.Labels, map[string]string{"tag": "value"}) || m.Version != id {
		t.Errorf("stat: %+v, %v", m, err)
	}
	if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: true}); sdk.CodeOf(err) != sdk.OK {
		t.Errorf("purge: %v", err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "nothing"})
	wantCode(t, "get of a missing secret", err, sdk.NotFound)
}

func TestTheRealServicesAnswersToADeleteAndARecovery(t *testing.T) {
	st := onRecording(t, "TestRecover")
	const name = "secret422508987"
	if v := put(t, st, name, "value422508987"); v != "621517f4c42642a1a28f707992ce3761" {
		t.Errorf("put: version %q", v)
	}
	d, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name})
	if err != nil || !d.Recoverable || d.Until.Unix() != 1680652758 {
		t.Errorf("delete: %+v, %v", d, err)
	}
	if err := st.Restore(t.Context(), sdk.RestoreRequest{Name: name}); err != nil {
		t.Errorf("restore: %v", err)
	}
	got, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil || !got.Value.Equal(sdk.SensitiveString("value422508987")) {
		t.Errorf("get: %v", err)
	}
}

func TestTheRealServicesPages(t *testing.T) {
	list := onRecording(t, "TestListSecrets")
	var names []string
	r := sdk.ListRequest{Prefix: "listsecrets", PageSize: 1}
	for {
		page, err := list.List(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Items {
			names = append(names, m.Name)
		}
		if r.PageToken = page.Next; r.PageToken == "" {
			break
		}
	}
	if want := []string{"listsecrets02663316706", "listsecrets12663316706", "listsecrets22663316706", "listsecrets32663316706"}; !slices.Equal(names, want) {
		t.Errorf("list: %v, want %v", names, want)
	}
}

func TestTheRealServicesVersionsComeNewestFirst(t *testing.T) {
	st := onRecording(t, "TestListSecretVersions")
	const name = "listversions2628844972"
	var ids []string
	for _, value := range []string{"value0", "value1", "value2"} {
		ids = append(ids, put(t, st, name, value))
	}
	page, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: name, PageSize: 10})
	if err != nil || len(page.Versions) != 3 {
		t.Fatalf("versions: %+v, %v", page, err)
	}
	if v := page.Versions[0]; v.Version != ids[2] || !v.Current || v.Expires.Unix() != 2524611661 {
		t.Errorf("the first is %+v, want %s, the last one written", v, ids[2])
	}
}

func TestTheRealServicesDeletedSecrets(t *testing.T) {
	st := onRecording(t, "TestListDeletedSecrets")
	for _, number := range []string{"13245351623", "23245351623"} {
		if v := put(t, st, "secret"+number, "value"+number); v == "" {
			t.Error("put: no version")
		}
		if d, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "secret" + number}); err != nil || !d.Recoverable {
			t.Errorf("delete: %+v, %v", d, err)
		}
	}
}

func TestTheRealServicesAnswersWhereASecretWasBackedUp(t *testing.T) {
	st := onRecording(t, "TestBackupRestore")
	const name = "testbackupsecret1387819847"
	if v := put(t, st, name, "value1387819847"); v != "967256fb3ef148bcbffe0be75e934955" {
		t.Errorf("put: version %q", v)
	}
	d, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name})
	if err != nil || !d.Recoverable {
		t.Errorf("delete: %+v, %v", d, err)
	}
}
