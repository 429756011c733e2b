package conjur_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"

	"github.com/keyway-dev/keyway/internal/fake/conjur"
)

const policy = `
- !policy
  id: app
  body:
  - &variables
    - !variable db/password
    - !variable db/<user>
    - !variable empty
    - !variable binary
  - !variable locked
  - !variable hidden
  - !host gw
  - !permit
    role: !host gw
    privileges: [read, execute]
    resources: *variables
  - !permit
    role: !host gw
    privilege: read
    resource: !variable locked
`

// recorded is one answer of Conjur 1.22.3 for the account "myorg", to the host app/gw unless as says somebody else.
type recorded struct {
	method, path string
	as, body     string
	accept       string // Accept-Encoding
	status       int
	kind, answer string
}

var answers = []recorded{
	{path: "/secrets/myorg/variable/app%2Fdb%2Fpassword", status: 200, kind: "application/octet-stream", answer: "s3cret"},
	{path: "/secrets/myorg/variable/app/db/password", status: 200, kind: "application/octet-stream", answer: "s3cret"},
	{path: "/secrets/myorg/variable/app%2Fdb%2Fpassword?version=1", status: 200, kind: "application/octet-stream", answer: "older"},
	{path: "/secrets/myorg/variable/app%2Fdb%2Fpassword?version=99", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/db/password is empty or not found."}}`},
	{path: "/secrets/myorg/variable/app%2Fempty", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/empty is empty or not found."}}`},
	{path: "/secrets/myorg/variable/app%2Fnope", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/nope is empty or not found."}}`},
	{path: "/secrets/myorg/variable/app%2Fhidden", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/hidden is empty or not found."}}`},
	{path: "/secrets/other/variable/app%2Fnope", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable other:variable:app/nope is empty or not found."}}`},
	{path: "/secrets/myorg/variable/app%2Flocked", status: 403, kind: "text/html"},
	{path: "/secrets/myorg/kind/app%2Fdb%2Fpassword", status: 404, kind: "text/html"},
	{method: "POST", path: "/secrets/myorg/variable/app%2Fdb%2Fpassword", as: "admin", body: "s3cret", status: 201, kind: "text/html"},
	{method: "POST", path: "/secrets/myorg/variable/app%2Fdb%2Fpassword", as: "admin", status: 422, kind: "application/json", answer: `{"error":{"code":"argument_error","message":"'value' may not be empty"}}`},
	{method: "POST", path: "/secrets/myorg/variable/nope", as: "admin", body: "x", status: 404, kind: "application/json",
		answer: `{"error":{"code":"not_found","message":"Variable 'nope' not found in account 'myorg'","target":"variable","details":{"code":"not_found","message":"myorg:variable:nope","target":"id"}}}`},
	{method: "POST", path: "/secrets/myorg/variable/app%2Fdb%2Fpassword", body: "x", status: 403, kind: "text/html"},
	{path: "/secrets?variable_ids=myorg:variable:app/db/password,myorg:variable:app/db/%3Cuser%3E", status: 200, kind: "application/json",
		answer: `{"myorg:variable:app/db/\u003cuser\u003e":"me","myorg:variable:app/db/password":"s3cret"}`},
	{path: "/secrets/?variable_ids=myorg%3Avariable%3Aapp%2Fdb%2Fpassword", accept: "base64", status: 200, kind: "application/json", answer: `{"myorg:variable:app/db/password":"czNjcmV0\n"}`},
	{path: "/secrets?variable_ids=myorg:variable:app/binary", status: 406, kind: "application/json",
		answer: `{"error":{"code":"not_acceptable","message":"CONJ00074E Issue encoding secret into JSON format, try including 'Accept-Encoding: base64' header in request."}}`},
	{path: "/secrets?variable_ids=myorg:variable:app/db/password,myorg:variable:app/empty", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/empty is empty or not found."}}`},
	{path: "/secrets?variable_ids=myorg:variable:app/db/password,myorg:variable:app/nope", status: 404, kind: "application/json", answer: `{"error":{"code":"not_found","message":"CONJ00076E Variable myorg:variable:app/nope is empty or not found."}}`},
	{path: "/secrets?variable_ids=myorg:variable:app/db/password,myorg:variable:app/hidden", status: 403, kind: "text/html"},
	{path: "/secrets", status: 422, kind: "application/json", answer: `{"error":{"code":"argument_error","message":"variable_ids"}}`},
	{path: "/secrets?variable_ids=myorg:variable:app/db/password,myorg:variable:app/db/password", status: 500, kind: "text/html"},
	{path: "/resources/myorg/variable/app%2Flocked?check=true&privilege=execute", status: 404, kind: "text/html"},
	{path: "/resources/myorg/variable/app%2Fempty?check=true&privilege=execute&role=", status: 204},
	{path: "/secrets/myorg/variable/x", as: "nobody", status: 401, kind: "text/plain", answer: "Authorization missing"},
	{path: "/secrets/myorg/variable/x", as: "Bearer abc", status: 401, kind: "text/plain", answer: "Authorization missing"},
	{path: "/secrets/myorg/variable/x", as: `Token token="abc"`, status: 401, kind: "text/plain", answer: "Malformed authorization token"},
	{path: "/secrets/myorg/variable/x", as: "tampered", status: 401, kind: "text/plain", answer: "Unauthorized: Invalid token"},
	{method: "POST", path: "/authn/myorg/admin/authenticate", as: "nobody", body: "wrong", status: 401, kind: "text/html"},
	{method: "POST", path: "/authn/myorg/nobody/authenticate", as: "nobody", status: 401, kind: "text/html"},
	{method: "POST", path: "/authn/other/admin/authenticate", as: "nobody", body: "wrong", status: 401, kind: "text/html"},
	{path: "/authn/myorg/login", as: "nobody", status: 401, kind: "text/html"},
	{method: "POST", path: "/authn-jwt/none/myorg/authenticate", as: "nobody", body: "jwt=x", status: 401, kind: "text/html"},
}

func loaded(t *testing.T) *conjur.Server {
	t.Helper()
	f := conjur.Start(t)
	f.Load(t, "root", policy)
	for _, v := range []string{"older", "s3cret"} {
		f.Set(t, "app/db/password", v)
	}
	f.Set(t, "app/db/<user>", "me")
	f.Set(t, "app/binary", "\xff\x00")
	f.Set(t, "app/hidden", "x")
	f.Set(t, "app/locked", "x")
	return f
}

// token logs a role in.
func token(t *testing.T, f *conjur.Server, login string) string {
	t.Helper()
	resp := send(t, f, recorded{method: "POST", path: "/authn/myorg/" + url.PathEscape(login) + "/authenticate", body: f.APIKey(login)}, "")
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("login of %s: status %d, %v", login, resp.StatusCode, err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func send(t *testing.T, f *conjur.Server, c recorded, authorization string) *http.Response {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, f.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if c.accept != "" {
		r.Header.Set("Accept-Encoding", c.accept)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAnswersAreThoseOfTheRealServer(t *testing.T) {
	f := loaded(t)
	bearer := map[string]string{"": "host/app/gw", "admin": "admin"}
	for as, login := range bearer {
		bearer[as] = `Token token="` + token(t, f, login) + `"`
	}
	bearer["nobody"] = ""
	var forged map[string]string
	raw, err := base64.StdEncoding.DecodeString(token(t, f, "admin"))
	if err == nil {
		err = json.Unmarshal(raw, &forged)
	}
	if err != nil {
		t.Fatal(err)
	}
	forged["signature"] = "AAAA" + forged["signature"][4:]
	raw, err = json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	bearer["tampered"] = `Token token="` + base64.StdEncoding.EncodeToString(raw) + `"`
	for _, c := range answers {
		authorization, known := bearer[c.as]
		if !known {
			authorization = c.as
		}
		resp := send(t, f, c, authorization)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		if err != nil || resp.StatusCode != c.status || kind != c.kind || string(body) != c.answer {
			t.Errorf("%s %s as %q: %d %s %s, want %d %s %s", c.method, c.path, c.as, resp.StatusCode, kind, body, c.status, c.kind, c.answer)
		}
	}
}

// CyberArk's Go client, whole: the provider uses only the functions of it that build requests.
func TestCyberArksGoClientFindsWhatItExpects(t *testing.T) {
	f := loaded(t)
	config := conjurapi.Config{ApplianceURL: f.URL, Account: f.Account, Environment: conjurapi.EnvironmentOSS, CredentialStorage: conjurapi.CredentialStorageNone}
	config.SetKeychainNamespaceResolved(true)
	c, err := conjurapi.NewClientFromKey(config, authn.LoginPair{Login: "host/app/gw", APIKey: f.APIKey("host/app/gw")})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.RetrieveSecret("app/db/password"); err != nil || string(v) != "s3cret" {
		t.Errorf("get: %d bytes, %v", len(v), err)
	}
	batch, err := c.RetrieveBatchSecretsSafe([]string{"app/db/password", "app/binary"})
	if err != nil || string(batch["myorg:variable:app/binary"]) != "\xff\x00" {
		t.Errorf("batch: %d values, %v", len(batch), err)
	}
	ids, err := c.ResourceIDs(&conjurapi.ResourceFilter{Kind: "variable"})
	if err != nil || len(ids) != 5 {
		t.Errorf("list: %q, %v; want five", ids, err)
	}
	if ok, err := c.CheckPermission("variable:app/locked", "execute"); ok || err != nil {
		t.Errorf("check: %v, %v; want a refusal", ok, err)
	}
	if err := c.AddSecret("app/db/password", "x"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("set: %v, want 403", err)
	}
	admin, err := conjurapi.NewClientFromKey(config, authn.LoginPair{Login: "admin", APIKey: f.APIKey("admin")})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := admin.LoadPolicy(conjurapi.PolicyModePatch, "app", strings.NewReader("- !host other\n- !delete\n  record: !variable empty\n"))
	if err != nil || loaded.CreatedRoles["myorg:host:app/other"].APIKey == "" {
		t.Errorf("policy: %+v, %v; want a key for the new host", loaded, err)
	}
	if there, err := admin.ResourceExists("variable:app/empty"); there || err != nil {
		t.Errorf("exists: %v, %v; want that it is gone", there, err)
	}
}
