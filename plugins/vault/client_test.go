package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// state is what HashiCorp's servers name in X-Vault-Index.
func state(local int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "v1:cluster:%d:0:00ff", local))
}

func TestReadsAskForTheStateOfOurLastWrite(t *testing.T) {
	for name, states := range map[string][2]string{"Vault": {state(7), state(6)}, "opaque ones": {"b3BhcXVlLTc=", ""}} {
		t.Run(name, func(t *testing.T) {
			next := 0
			f := newFake(t, map[string]http.HandlerFunc{
				lookUpPath: reply(200, forever),
				getPath:    reply(200, hello),
				"PUT /v1/secret/data/x": func(w http.ResponseWriter, r *http.Request) {
					if states[next] != "" {
						w.Header().Set("X-Vault-Index", states[next])
					}
					next++
					reply(200, `{"data":{"version":1}}`)(w, r)
				},
			})
			for forward, want := range map[bool]string{false: "", true: "forward-active-node"} {
				next = 0
				st := openStore(t, f.URL, map[string]any{"forward_inconsistent": forward})
				get(t, st)
				if r := f.last(getPath); r.Header.Get("X-Vault-Index") != "" {
					t.Error("a read before any write asks for a state")
				}
				for range states { // the second answer tells of an older state
					if _, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(`{}`)}); err != nil {
						t.Fatal(err)
					}
				}
				get(t, st)
				r := f.last(getPath)
				if got := r.Header.Values("X-Vault-Index"); len(got) != 1 || got[0] != states[0] {
					t.Errorf("a read asks for the states %q, want %q", got, states[0])
				}
				if got := r.Header.Get("X-Vault-Inconsistent"); got != want {
					t.Errorf("forward_inconsistent %v sends %q, want %q", forward, got, want)
				}
			}
		})
	}
}

func TestAStandbyThatLagsIsAskedAgain(t *testing.T) {
	n := 0
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), getPath: func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			reply(412, `{"errors":["required index state not present"]}`)(w, r)
			return
		}
		reply(200, hello)(w, r)
	}})
	get(t, openStore(t, f.URL, nil))
}

func TestAServerThatIgnoresNamespacesIsNotRead(t *testing.T) {
	for body, want := range map[string]sdk.Code{
		`{"version":"1.21.0","enterprise":false}`:    sdk.FailedPrecondition,
		`{"version":"1.14.8"}`:                       sdk.FailedPrecondition,
		`{"version":"1.21.0+ent","enterprise":true}`: sdk.OK,
		`{"version":"1.14.8+ent"}`:                   sdk.OK,
		`{"version":"2.7.2"}`:                        sdk.OK,
		`{}`:                                         sdk.OK,
	} {
		f := newFake(t, map[string]http.HandlerFunc{healthPath: reply(200, body), lookUpPath: reply(200, forever), getPath: reply(200, hello)})
		for range 2 {
			_, err := openStore(t, f.URL, map[string]any{"namespace": "team"}).Get(t.Context(), sdk.GetRequest{Name: "x"})
			wantCode(t, "namespace on "+body, err, want)
		}
		if n := f.calls(getPath); want != sdk.OK && n != 0 {
			t.Errorf("%s: %d reads that the top namespace answered", body, n)
		}
		_, err := openStore(t, f.URL, nil).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "no namespace on "+body, err, sdk.OK)
	}
}

func TestWhatAServerIsIsAskedOnce(t *testing.T) {
	var l logins
	routes := l.routes(3600)
	routes[healthPath] = reply(200, `{"version":"2.7.2"}`)
	f := newFake(t, routes)
	set := approle()
	set["namespace"] = "team"
	st := openStore(t, f.URL, set)
	get(t, st)
	l.good.Delete("t1")
	get(t, st)
	if got := f.calls(healthPath); got != 1 {
		t.Errorf("asked %d times for two logins, want once", got)
	}
	routes[healthPath] = reply(503, `{"sealed":true}`)
	_, err := openStore(t, f.URL, set).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "a sealed server", err, sdk.Unavailable)
}

// HashiCorp's server answers 500 to a JSON string of more than 1 MiB, which a value with line breaks becomes.
func TestAValueThatTheServerCannotReadIsInvalidAndNotAnOutage(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), "PUT /v1/secret/data/x": reply(500, `{"errors":["JSON string value exceeds allowed length"]}`)})
	for size, want := range map[int]sdk.Code{sdk.MaxValue - 16: sdk.InvalidArgument, 100: sdk.Unavailable} {
		value := `{"a":"` + strings.Repeat("v", size) + `"}`
		_, err := openStore(t, f.URL, nil).Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(value)})
		wantCode(t, fmt.Sprintf("put of %d bytes that is answered 500", size), err, want)
	}
}

func TestTransitCallsSayVersionAndContext(t *testing.T) {
	const encrypt, decrypt = "PUT /v1/transit/encrypt/orders", "PUT /v1/transit/decrypt/orders"
	var body map[string]any
	keep := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body = nil
			_ = json.NewDecoder(r.Body).Decode(&body)
			reply(200, answer)(w, r)
		}
	}
	f := newFake(t, map[string]http.HandlerFunc{
		lookUpPath: reply(200, forever),
		encrypt:    keep(`{"data":{"ciphertext":"vault:v3:c2VjcmV0","key_version":3}}`),
		decrypt:    keep(`{"data":{"plaintext":"cGxhaW4="}}`),
	})
	plain := openStore(t, f.URL, map[string]any{"transit": "transit", "transit_key": "orders"})
	derived := openStore(t, f.URL, map[string]any{"transit": "transit", "transit_key": "orders", "transit_context": true})
	aad := base64.StdEncoding.EncodeToString([]byte("tenant"))

	r, err := plain.Encrypt(t.Context(), sdk.EncryptRequest{Key: "orders:3", Plaintext: sdk.SensitiveString("plain"), AAD: []byte("tenant")})
	if err != nil || r.Key != "orders:3" || body["key_version"] != 3.0 || body["associated_data"] != aad || body["context"] != nil {
		t.Errorf("encrypt with a version and aad: key %q, %v, sent %v", r.Key, err, body)
	}
	if _, err = derived.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("plain"), AAD: []byte("tenant")}); err != nil || body["context"] != aad || body["associated_data"] != nil || body["key_version"] != nil {
		t.Errorf("encrypt with a derived key: %v, sent %v", err, body)
	}
	d, err := derived.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("vault:v2:c2VjcmV0"), AAD: []byte("tenant")})
	if err != nil || d.Key != "orders:2" || body["context"] != aad {
		t.Errorf("decrypt with a derived key: key %q, %v, sent %v", d.Key, err, body)
	}
	_, err = derived.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("plain")})
	wantCode(t, "a derived key without aad", err, sdk.InvalidArgument)
	for _, key := range []string{"orders:0", "orders:x", "orders:", "orders:-1"} {
		_, err = plain.Encrypt(t.Context(), sdk.EncryptRequest{Key: key, Plaintext: sdk.SensitiveString("plain")})
		wantCode(t, "encrypt with "+key, err, sdk.InvalidArgument)
	}
	_, err = plain.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("hello")})
	wantCode(t, "decrypt of something else", err, sdk.InvalidArgument)
}
