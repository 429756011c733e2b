package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// fake is a KMS that answers as the test says, and keeps what it was asked. Emulators are in e2e; this one has the states
// and faults that none of them can be brought to.
type fake struct {
	URL  string
	mu   sync.Mutex
	seen []request
}

// request is one call, by the last part of its target.
type request struct {
	action string
	body   map[string]any
}

// newFake serves answers by action, "Encrypt". What has none is UnknownOperationException, and STS answers who it is.
func newFake(t *testing.T, answers map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		q := request{action: action, body: map[string]any{}}
		if action == "" {
			q.action = "GetCallerIdentity"
		} else if err != nil || json.Unmarshal(raw, &q.body) != nil {
			t.Errorf("%s: the body is no JSON object (%v)", action, err)
		}
		f.mu.Lock()
		f.seen = append(f.seen, q)
		f.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(raw))
		w.Header().Set("X-Amzn-Requestid", "req-1")
		switch h := answers[q.action]; {
		case h != nil:
			h(w, r)
		case action == "":
			_, _ = io.WriteString(w, caller)
		default:
			reply(400, `{"__type":"UnknownOperationException"}`)(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	f.URL = srv.URL
	return f
}

// requests gives those of one action.
func (f *fake) requests(action string) []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []map[string]any
	for _, q := range f.seen {
		if q.action == action {
			out = append(out, q.body)
		}
	}
	return out
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refusal answers as the service does: the word in __type, with or without a message, and no header that names it.
func refusal(word, message string) http.HandlerFunc {
	body := map[string]string{"__type": word}
	if message != "" {
		body["message"] = message
	}
	raw, _ := json.Marshal(body)
	return reply(400, string(raw))
}

const (
	arn       = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	encrypted = `{"CiphertextBlob":"Y2lwaGVydGV4dA==","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","KeyId":"` + arn + `"}`
	decrypted = `{"EncryptionAlgorithm":"SYMMETRIC_DEFAULT","KeyId":"` + arn + `","KeyMaterialId":"91","KeyOrigin":"AWS_KMS","Plaintext":"aGVsbG8="}` // hello
	caller    = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/gateway</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`
)

type set = map[string]any

// settings of a store that logs in with a key, with changes.
func settings(t *testing.T, endpoint string, more set) []byte {
	t.Helper()
	m := set{"region": "eu-west-1",
		"auth": set{"static": set{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "canary-secret-key"}}}
	if endpoint != "" {
		m["endpoint"] = endpoint
	}
	maps.Copy(m, more)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func openStore(t *testing.T, endpoint string, more set) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, endpoint, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	st, ok := o.Store.(*store)
	if !ok {
		t.Fatalf("open gave a %T", o.Store)
	}
	t.Cleanup(func() { _ = st.Close(t.Context()) })
	return st
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
