//go:build e2e && unix

package awssm_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// exchange is one request that was made to the real service, and its answer.
type exchange struct {
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

func (e exchange) action() string {
	return strings.TrimPrefix(e.Request.Header.Get("X-Amz-Target"), "secretsmanager.")
}

func (e exchange) asked(t *testing.T) set { return object(t, bytes.Join(e.Request.BodyParts, nil)) }

// object reads a JSON object.
func object(t *testing.T, raw []byte) set {
	t.Helper()
	m := set{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Errorf("not a JSON object: %v", err)
	}
	return m
}

// replay answers requests as they were answered, in their order, and holds each against the one that was made then.
type replay struct {
	t    *testing.T
	mu   sync.Mutex
	left []exchange
}

func (r *replay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	if err != nil || len(r.left) == 0 {
		r.t.Errorf("a request that was not recorded: %s (%v)", q.Header.Get("X-Amz-Target"), err)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	next := r.left[0]
	r.left = r.left[1:]
	got, want := object(r.t, body), next.asked(r.t)
	// We name the stage, and a text goes as one.
	for _, k := range []string{"VersionStage", "SecretString", "SecretBinary"} {
		delete(got, k)
		delete(want, k)
	}
	if q.Header.Get("X-Amz-Target") != next.Request.Header.Get("X-Amz-Target") || !reflect.DeepEqual(got, want) {
		r.t.Errorf("request %s %v, want %s %v", q.Header.Get("X-Amz-Target"), slices.Sorted(maps.Keys(got)), next.Request.Header.Get("X-Amz-Target"), slices.Sorted(maps.Keys(want)))
	}
	maps.Copy(w.Header(), next.Response.Header)
	w.WriteHeader(next.Response.StatusCode)
	_, _ = w.Write(next.Response.Body)
}

// next gives the exchange that the next request will meet.
func (r *replay) next() (exchange, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.left) == 0 {
		return exchange{}, false
	}
	return r.left[0], true
}

func TestRecordedAnswersOfTheRealServiceAreRead(t *testing.T) {
	dir := filepath.Join(recordings.Dir(t, "gocloud.dev"), "runtimevar", "awssecretsmanager", "testdata")
	p := startPlugin(t)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".replay" {
			return err
		}
		files++
		name, _ := filepath.Rel(dir, path)
		t.Run(name, func(t *testing.T) { replayFile(t, p, path) })
		return nil
	})
	if err != nil || files != 18 {
		t.Errorf("%d files replayed (%v), want 18", files, err)
	}
}

func replayFile(t *testing.T, p *dial.Plugin, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Entries []exchange }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	r := &replay{t: t, left: file.Entries}
	server := httptest.NewServer(r)
	defer server.Close()
	st := reopen(t, p, &moto.Server{URL: server.URL, Key: moto.Key{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "k"}}, set{"region": "us-east-2"})
	for {
		e, ok := r.next()
		if !ok || t.Failed() {
			return
		}
		repeat(t, st, e)
	}
}

// repeat makes the call of ours that leads to a recorded exchange.
func repeat(t *testing.T, st *dial.Store, e exchange) {
	t.Helper()
	asked, answered := e.asked(t), object(t, e.Response.Body)
	name, _ := asked["SecretId"].(string)
	var version string
	var err error
	switch e.action() {
	case "GetSecretValue":
		var s sdk.Secret
		s, err = st.Get(t.Context(), sdk.GetRequest{Name: name})
		if version = s.Version; err == nil && (s.Created.IsZero() || !s.Value.Equal(valueOf(t, e.Response.Body))) {
			t.Error("get: another value or time than the one that was recorded")
		}
	case "CreateSecret":
		name, _ = asked["Name"].(string)
		version = repeatPut(t, st, e, sdk.PutRequest{Name: name, If: sdk.IfAbsent()})
	case "PutSecretValue":
		version = repeatPut(t, st, e, sdk.PutRequest{Name: name})
	case "DescribeSecret":
		var m sdk.Meta
		m, err = st.Stat(t.Context(), sdk.StatRequest{Name: name})
		if err == nil && (m.Version == "" || m.Created.IsZero() || m.Updated.IsZero()) {
			t.Error("stat: a version or time is missing")
		}
	case "DeleteSecret": // and the looks until the secret is gone
		_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: true})
	default:
		t.Fatalf("no call of ours leads to %s", e.action())
	}
	if want := answered["VersionId"]; err == nil && want != nil && version != want {
		t.Errorf("%s: version %q, want %q", e.action(), version, want)
	}
	want := sdk.OK
	if answered["__type"] == "ResourceNotFoundException" {
		want = sdk.NotFound
	}
	wantCode(t, e.action(), err, want)
}

func repeatPut(t *testing.T, st *dial.Store, e exchange, r sdk.PutRequest) string {
	t.Helper()
	r.IdempotencyKey, _ = e.asked(t)["ClientRequestToken"].(string)
	r.Value = valueOf(t, bytes.Join(e.Request.BodyParts, nil))
	out, err := st.Put(t.Context(), r)
	if err != nil {
		t.Errorf("put: %v", err)
	}
	return out.Version
}

func valueOf(t *testing.T, raw []byte) sdk.Sensitive {
	t.Helper()
	var v struct {
		SecretString string
		SecretBinary []byte
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Errorf("a recorded value: %v", err)
	}
	return sdk.NewSensitive(append(v.SecretBinary, v.SecretString...))
}
