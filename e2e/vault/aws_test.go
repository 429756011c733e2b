//go:build e2e && unix

package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// awsDoor is an OpenBao that has the auth method of AWS, as far as a login goes: it makes the request of what it gets and
// sends it to STS, which looks at the signature, and gives a token to whom STS names.
type awsDoor struct {
	URL    string
	token  func() string
	mu     sync.Mutex
	logins []string // the ARNs
}

func newAWSDoor(t *testing.T, rules string) *awsDoor {
	t.Helper()
	target, err := url.Parse(srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &awsDoor{token: func() string { return srv.NewToken(t, rules) }}
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	mux.HandleFunc("PUT /v1/auth/aws/login", d.login)
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	d.URL = front.URL
	return d
}

func (d *awsDoor) login(w http.ResponseWriter, r *http.Request) {
	arn, err := whoSigned(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(set{"errors": []string{err.Error()}})
		return
	}
	d.mu.Lock()
	d.logins = append(d.logins, arn)
	d.mu.Unlock()
	_ = json.NewEncoder(w).Encode(set{"auth": set{"client_token": d.token(), "lease_duration": 3600, "renewable": true}})
}

func whoSigned(login *http.Request) (arn string, err error) {
	var in struct {
		Method  string `json:"iam_http_request_method"`
		URL     []byte `json:"iam_request_url"` // base64, as JSON has bytes
		Body    []byte `json:"iam_request_body"`
		Headers []byte `json:"iam_request_headers"`
	}
	if err := json.NewDecoder(login.Body).Decode(&in); err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(login.Context(), in.Method, string(in.URL), bytes.NewReader(in.Body))
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(in.Headers, &r.Header); err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("STS answered %d", resp.StatusCode)
	}
	_, rest, _ := strings.Cut(string(text), "<Arn>")
	arn, _, _ = strings.Cut(rest, "</Arn>")
	return arn, err
}

func TestAWSSignaturesAreThoseThatSTSAcceptsAndAReplacedKeyCostsOneLogin(t *testing.T) {
	aws := moto.StartEnforced(t)
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	door := newAWSDoor(t, reading(mount))
	user := aws.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}]}`)
	p := startPlugin(t)
	open := func(k moto.Key) *dial.Store {
		raw, err := json.Marshal(set{"address": door.URL, "mount": mount, "kv_version": 1, "auth": set{"aws": set{
			"role": "gateway", "access_key_id": k.ID, "secret_access_key": k.Secret, "sts_endpoint": aws.URL}}})
		if err != nil {
			t.Fatal(err)
		}
		st, err := p.Open(t.Context(), "test~"+srv.Name(), raw)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() { _ = st.Close(context.Background()) })
		return st
	}
	var current atomic.Pointer[dial.Store]
	current.Store(open(user))
	underReads(t, current.Load, func() { current.Store(open(aws.NewKey(t, user.User))) })
	if want := fmt.Sprintf("arn:aws:iam::%s:user/%s", moto.Account, user.User); strings.Join(door.logins, " ") != want+" "+want {
		t.Errorf("logins as %v, want two as %s", door.logins, want)
	}
	user.Secret = base64.StdEncoding.EncodeToString([]byte("another secret"))
	_, err := open(user).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get with a key whose secret is wrong", err, sdk.Unauthenticated)
}
