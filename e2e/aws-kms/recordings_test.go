//go:build e2e && unix

package awskms_test

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
	"strings"
	"sync"
	"testing"

	localkms "github.com/keyway-dev/keyway/e2e/local-kms"
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
	return strings.TrimPrefix(e.Request.Header.Get("X-Amz-Target"), "TrentService.")
}

func (e exchange) asked() []byte { return bytes.Join(e.Request.BodyParts, nil) }

// crypt is what a request asks or an answer says.
type crypt struct {
	Type                      string `json:"__type"`
	KeyID                     string `json:"KeyId"`
	Plaintext, CiphertextBlob []byte
}

func read(t *testing.T, raw []byte) (c crypt) {
	t.Helper()
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Errorf("not a JSON object: %v", err)
	}
	return c
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
	if q.Header.Get("X-Amz-Target") != next.Request.Header.Get("X-Amz-Target") || !reflect.DeepEqual(read(r.t, body), read(r.t, next.asked())) {
		r.t.Errorf("another request than %s as it was recorded", next.Request.Header.Get("X-Amz-Target"))
	}
	maps.Copy(w.Header(), next.Response.Header)
	w.WriteHeader(next.Response.StatusCode)
	_, _ = w.Write(next.Response.Body)
}

func TestRecordedAnswersOfTheRealServiceAreRead(t *testing.T) {
	dir := filepath.Join(recordings.Dir(t, "gocloud.dev"), "secrets", "awskms", "testdata")
	p := startPlugin(t)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".replay" {
			return err
		}
		files++
		t.Run(strings.TrimPrefix(path, dir+"/"), func(t *testing.T) { replayFile(t, p, path) })
		return nil
	})
	if err != nil || files != 6 {
		t.Errorf("%d files replayed (%v), want 6", files, err)
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
	var ours []exchange // no call of ours lists aliases
	for _, e := range file.Entries {
		if e.action() != "ListAliases" {
			ours = append(ours, e)
		}
	}
	r := &replay{t: t, left: ours}
	server := httptest.NewServer(r)
	defer server.Close()
	st := open(t, p, (&localkms.Server{URL: server.URL}).Settings(t, set{"region": "us-east-2"}))
	for _, e := range ours {
		repeat(t, st, e)
	}
}

// repeat makes the call of ours that leads to a recorded exchange.
func repeat(t *testing.T, st *dial.Store, e exchange) {
	t.Helper()
	asked, answered := read(t, e.asked()), read(t, e.Response.Body)
	var key string
	var err error
	switch e.action() {
	case "Encrypt":
		var r sdk.EncryptResult
		r, err = st.Encrypt(t.Context(), sdk.EncryptRequest{Key: asked.KeyID, Plaintext: sdk.NewSensitive(asked.Plaintext)})
		if key = r.Key; err == nil && !bytes.Equal(r.Ciphertext, answered.CiphertextBlob) {
			t.Error("encrypt: another ciphertext than the one that was recorded")
		}
	case "Decrypt":
		var r sdk.DecryptResult
		r, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: asked.CiphertextBlob})
		if key = r.Key; err == nil && !r.Plaintext.Equal(sdk.NewSensitive(answered.Plaintext)) {
			t.Error("decrypt: another plaintext than the one that was recorded")
		}
	default:
		t.Fatalf("no call of ours leads to %s", e.action())
	}
	want := sdk.OK
	if answered.Type == "InvalidCiphertextException" {
		want = sdk.InvalidArgument
	}
	wantCode(t, e.action(), err, want)
	if key != answered.KeyID {
		t.Errorf("%s: key %q, want %q", e.action(), key, answered.KeyID)
	}
}
