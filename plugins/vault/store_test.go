package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestValuesThatTheEngineCannotHoldAreRefusedUnsent(t *testing.T) {
	f := newFake(t, nil)
	documents, fields := openStore(t, f.URL, nil), openStore(t, f.URL, map[string]any{"field": "key"})
	for value, st := range map[string]*store{
		"plain text": documents, `["list"]`: documents, `{"a":1} {}`: documents, `{"a":"` + "\xff" + `"}`: documents, "   ": documents,
		"\xff\xfe": fields,
	} {
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(value)})
		wantCode(t, "put "+value, err, sdk.InvalidArgument)
	}
	if f.total() != 0 {
		t.Errorf("%d requests were sent", f.total())
	}
}

func TestLabelsThatTheEngineCannotHoldAreRefusedUnsent(t *testing.T) {
	f := newFake(t, nil)
	st := openStore(t, f.URL, nil)
	for name, r := range map[string]sdk.PutRequest{
		"empty value":     {Labels: map[string]string{"a": ""}},
		"long key":        {Labels: map[string]string{strings.Repeat("k", 129): "v"}},
		"the description": {Labels: map[string]string{"description": "v"}},
		"long text":       {Description: strings.Repeat("d", 513)},
	} {
		r.Name, r.Value = "x", sdk.SensitiveString(`{}`)
		_, err := st.Put(t.Context(), r)
		wantCode(t, name, err, sdk.InvalidArgument)
	}
	if f.total() != 0 {
		t.Errorf("%d requests were sent", f.total())
	}
}

func TestVersionsThatAreNoNumbersAreRefused(t *testing.T) {
	st := openStore(t, newFake(t, nil).URL, nil)
	for _, v := range []string{"0", "-1", "01", "latest", "1e3"} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x", Version: v})
		wantCode(t, "get version "+v, err, sdk.InvalidArgument)
	}
}

func TestNamesReachTheServerWhole(t *testing.T) {
	for _, name := range []string{"a/b c", "a?b=c#d", "a%2fb", "ü/é", "a+b", "x:y@z"} {
		f := newFake(t, map[string]http.HandlerFunc{lookUpPath: reply(200, forever), "GET /v1/secret/data/pre/fix/" + name: reply(200, hello)})
		_, err := openStore(t, f.URL, map[string]any{"path_prefix": "/pre/fix/"}).Get(t.Context(), sdk.GetRequest{Name: name})
		wantCode(t, "get "+name, err, sdk.OK)
	}
}

func TestNothingClimbsOutOfTheMount(t *testing.T) {
	f := newFake(t, nil)
	st := openStore(t, f.URL, map[string]any{"transit": "transit", "transit_key": "k"})
	for _, prefix := range []string{"../", "a/../../", "/", "a//"} {
		page, err := st.List(t.Context(), sdk.ListRequest{Prefix: prefix, PageSize: 10})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("list %q: %v, %v; want nothing", prefix, page.Items, err)
		}
	}
	for _, key := range []string{"../../sys/seal", "a/b", "", ".", "..:1"} {
		st.s.TransitKey = ""
		_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: key, Plaintext: sdk.SensitiveString("p")})
		wantCode(t, "encrypt with "+key, err, sdk.InvalidArgument)
	}
	if f.total() != 0 {
		t.Errorf("%d requests were sent", f.total())
	}
}

func TestAFieldWriteWithoutPatchIsDoneByCheckAndSet(t *testing.T) {
	const put, patch = "PUT /v1/secret/data/x", "PATCH /v1/secret/data/x"
	var body []byte
	f := newFake(t, map[string]http.HandlerFunc{
		lookUpPath: reply(200, forever),
		patch:      reply(403, denied),
		getPath:    reply(200, `{"data":{"data":{"key":"old","sibling":{"deep":[1,2]}},"metadata":{"version":7}}}`),
		put: func(w http.ResponseWriter, r *http.Request) {
			body, _ = io.ReadAll(r.Body)
			reply(200, `{"data":{"version":8}}`)(w, r)
		},
	})
	st := openStore(t, f.URL, map[string]any{"field": "key"})
	for range 2 {
		r, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString("new")})
		if err != nil || r.Version != "8" {
			t.Fatalf("put: version %q, %v; want 8", r.Version, err)
		}
	}
	var got struct {
		Data    json.RawMessage
		Options struct{ CAS int }
	}
	if err := json.Unmarshal(body, &got); err != nil || string(got.Data) != `{"key":"new","sibling":{"deep":[1,2]}}` || got.Options.CAS != 7 {
		t.Errorf("wrote %s (%v), want both fields with cas 7", body, err)
	}
	if n := f.calls(patch); n != 1 {
		t.Errorf("%d patches, want 1: a denied patch is not tried again", n)
	}
	if n := f.calls(lookUpPath); n != 1 {
		t.Errorf("%d look-ups, want 1: a denied patch says nothing of the token", n)
	}
}

func TestCheckWarnsOfAnotherEngineVersion(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		lookUpPath:                              reply(200, `{"data":{"display_name":"token-ci","ttl":7200,"renewable":false}}`),
		"GET /v1/sys/internal/ui/mounts/secret": reply(200, `{"data":{"type":"kv","options":{"version":"1"}}}`),
	})
	r, err := openStore(t, f.URL, nil).Check(t.Context())
	if err != nil || r.Identity != "token-ci" || len(r.Notes) != 2 {
		t.Errorf("check: %+v, %v; want the token's name, its end and the engine's version", r, err)
	}
}
