package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/keyway-dev/keyway/sdk"
)

// door is the login of an auth method that a test stands in for. It keeps the bodies that it got.
type door struct {
	mu     sync.Mutex
	bodies []map[string]string
}

func (d *door) open(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		reply(400, `{"errors":["malformed"]}`)(w, r)
		return
	}
	d.mu.Lock()
	d.bodies = append(d.bodies, body)
	d.mu.Unlock()
	reply(200, `{"auth":{"client_token":"t1","lease_duration":3600}}`)(w, r)
}

func (d *door) body(t *testing.T) map[string]string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.bodies) != 1 {
		t.Fatalf("%d logins, want 1", len(d.bodies))
	}
	return d.bodies[0]
}

// logInWith reads once with a login at a path, beside which a cloud's own endpoints may answer.
func logInWith(t *testing.T, path string, set map[string]any) map[string]string {
	t.Helper()
	var d door
	f := newFake(t, map[string]http.HandlerFunc{"PUT /v1/auth/" + path: d.open, getPath: reply(200, hello)})
	get(t, openStore(t, f.URL, set))
	return d.body(t)
}

func wantBody(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("the login's %s is not what it should be", k)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the login has %d members, want %d", len(got), len(want))
	}
}

func TestLoginsSendWhatTheirMethodTakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwt")
	writeFile(t, file, "a.b.c\n")
	for name, tc := range map[string]struct {
		path string
		set  map[string]any
		want map[string]string
	}{
		"kubernetes by file":      {"kubernetes/login", auth("kubernetes", "role", "gw", "token_file", file), map[string]string{"role": "gw", "jwt": "a.b.c"}},
		"kubernetes by reference": {"k8s/eu/login", auth("kubernetes", "mount", "/k8s/eu/", "role", "gw", "token", "d.e.f"), map[string]string{"role": "gw", "jwt": "d.e.f"}},
		"jwt":                     {"jwt/login", auth("jwt", "role", "gw", "token_file", file), map[string]string{"role": "gw", "jwt": "a.b.c"}},
		"oidc with its default":   {"oidc/login", auth("jwt", "mount", "oidc", "token", "d.e.f"), map[string]string{"role": "", "jwt": "d.e.f"}},
		"userpass":                {"userpass/login/gate way", auth("userpass", "username", "gate way", "password", "p"), map[string]string{"password": "p"}},
		"ldap on a fake endpoint": {"ldap/login/gateway@corp", auth("ldap", "username", "gateway@corp", "password", "p"), map[string]string{"password": "p"}},
		"approle":                 {"approle/login", approle(), map[string]string{"role_id": "role", "secret_id": "canary-secret-id"}},
	} {
		t.Run(name, func(t *testing.T) { wantBody(t, logInWith(t, tc.path, tc.set), tc.want) })
	}
}

func TestAFileWithoutATokenIsUnauthenticatedAndNothingIsSent(t *testing.T) {
	f := newFake(t, nil)
	empty := filepath.Join(t.TempDir(), "empty")
	writeFile(t, empty, "\n")
	for _, path := range []string{empty, filepath.Join(t.TempDir(), "missing")} {
		_, err := openStore(t, f.URL, auth("jwt", "token_file", path)).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "get with "+filepath.Base(path)+" file", err, sdk.Unauthenticated)
	}
	if f.total() != 0 {
		t.Errorf("%d requests were sent", f.total())
	}
}

// A secret id that is replaced comes in a new opening; a token that is replaced in its file serves the next login.
func TestAReplacedJWTFileCostsOneLoginAndNoRead(t *testing.T) {
	var l logins
	routes := l.routes(3600)
	var mu sync.Mutex
	accepted, offered := "first", []string{}
	routes["PUT /v1/auth/jwt/login"] = func(w http.ResponseWriter, r *http.Request) {
		var body struct{ JWT string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		offered = append(offered, body.JWT)
		ok := body.JWT == accepted
		mu.Unlock()
		if !ok {
			reply(400, `{"errors":["error validating token"]}`)(w, r)
			return
		}
		routes[loginPath](w, r)
	}
	f := newFake(t, routes)
	file := filepath.Join(t.TempDir(), "jwt")
	writeFile(t, file, "first")
	st := openStore(t, f.URL, auth("jwt", "token_file", file))
	everyone(t, 16, st)
	writeFile(t, file, "second")
	mu.Lock()
	accepted = "second"
	mu.Unlock()
	l.good.Delete("t1") // whoever replaces a credential ends what it gave
	everyone(t, 16, st)
	if got := strings.Join(offered, ","); got != "first,second" {
		t.Errorf("logins with %s, want first,second", got)
	}
}

func TestAWrappedSecretIDIsUnwrappedOnceAndServesLaterLogins(t *testing.T) {
	const unwrap = "PUT /v1/sys/wrapping/unwrap"
	var l logins
	routes := l.routes(3600)
	routes[unwrap] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "hvs.wrapping" {
			reply(400, `{"errors":["wrapping token is not valid or does not exist"]}`)(w, r)
			return
		}
		reply(200, `{"data":{"secret_id":"inside","secret_id_accessor":"a"}}`)(w, r)
	}
	f := newFake(t, routes)
	st := openStore(t, f.URL, auth("approle", "role_id", "role", "secret_id", "hvs.wrapping", "wrapped", true))
	everyone(t, 16, st)
	l.good.Delete("t1")
	everyone(t, 16, st)
	if unwraps, logins := f.calls(unwrap), f.calls(loginPath); unwraps != 1 || logins != 2 {
		t.Errorf("%d unwraps and %d logins, want 1 and 2", unwraps, logins)
	}
	_, err := openStore(t, f.URL, auth("approle", "role_id", "role", "secret_id", "hvs.used", "wrapped", true)).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "a wrapping token that was used", err, sdk.Unauthenticated)
	if err != nil && !strings.Contains(err.Error(), "somebody has used it") {
		t.Errorf("the error does not tell what to do: %v", err)
	}
	routes[unwrap] = reply(200, `{"data":{"token":"x"}}`)
	_, err = openStore(t, f.URL, auth("approle", "role_id", "role", "secret_id", "hvs.other", "wrapped", true)).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "a response that wraps something else", err, sdk.Unauthenticated)
}

// The fake endpoint does what Vault does: it makes the request of what it got. Here it is signed again and compared.
func TestAWSOnAFakeEndpointSignsGetCallerIdentity(t *testing.T) {
	const id, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for name, tc := range map[string]struct {
		set          map[string]any
		url, region  string
		session, sid string
	}{
		"as the mount asks by default": {auth("aws", "role", "gw", "access_key_id", id, "secret_access_key", secret), "https://sts.amazonaws.com/", "us-east-1", "", ""},
		"in a region":                  {auth("aws", "role", "gw", "access_key_id", id, "secret_access_key", secret, "region", "eu-central-1"), "https://sts.eu-central-1.amazonaws.com/", "eu-central-1", "", ""},
		"in China":                     {auth("aws", "role", "gw", "access_key_id", id, "secret_access_key", secret, "region", "cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn/", "cn-north-1", "", ""},
		"of a session, for a server":   {auth("aws", "role", "gw", "access_key_id", id, "secret_access_key", secret, "session_token", "st", "server_id", "vault.example.com", "sts_endpoint", "https://sts.internal:8443/"), "https://sts.internal:8443/", "us-east-1", "st", "vault.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			body := logInWith(t, "aws/login", tc.set)
			got := rebuilt(t, body)
			if body["role"] != "gw" || got.URL.String() != tc.url {
				t.Errorf("role %q, URL %s; want gw, %s", body["role"], got.URL, tc.url)
			}
			if got.Header.Get("X-Vault-AWS-IAM-Server-ID") != tc.sid || got.Header.Get("X-Amz-Security-Token") != tc.session {
				t.Error("the server's id or the session's token is not in the headers")
			}
			signature := got.Header.Get("Authorization")
			if tc.sid != "" && !strings.Contains(signature, "x-vault-aws-iam-server-id") {
				t.Error("the server's id is not signed, so that anybody could send it")
			}
			at, err := time.Parse("20060102T150405Z", got.Header.Get("X-Amz-Date"))
			if err != nil {
				t.Fatal(err)
			}
			got.Header.Del("Authorization")
			keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: tc.session}
			const sum = "ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843" // of the body
			if err := v4.NewSigner().SignHTTP(t.Context(), keys, got, sum, "sts", tc.region, at); err != nil {
				t.Fatal(err)
			}
			if got.Header.Get("Authorization") != signature {
				t.Error("the signature is not that of the request which Vault makes of it")
			}
		})
	}
}

func TestAWSWithoutAKeyUsesWhatTheMachineHas(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENTEXAMPLE00")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
	r := rebuilt(t, logInWith(t, "aws/login", auth("aws", "role", "gw")))
	if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAAMBIENTEXAMPLE00/") || r.URL.Host != "sts.amazonaws.com" {
		t.Errorf("the request for %s is not signed with the environment's key", r.URL.Host)
	}
}

// rebuilt is the request that Vault sends to STS.
func rebuilt(t *testing.T, login map[string]string) *http.Request {
	t.Helper()
	decode := func(k string) []byte {
		b, err := base64.StdEncoding.DecodeString(login[k])
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		return b
	}
	body := decode("iam_request_body")
	if string(body) != "Action=GetCallerIdentity&Version=2011-06-15" {
		t.Errorf("the body is %q", body)
	}
	r, err := http.NewRequestWithContext(t.Context(), login["iam_http_request_method"], string(decode("iam_request_url")), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(decode("iam_request_headers"), &r.Header); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAzureOnAFakeEndpointSendsTheTokenAndTheMachine(t *testing.T) {
	for name, tc := range map[string]struct{ compute, kind, machine string }{
		"a machine":    {`{"compute":{"name":"vm1","resourceGroupName":"rg","subscriptionId":"sub","vmScaleSetName":""}}`, "vm_name", "vm1"},
		"one of a set": {`{"compute":{"name":"vm1","resourceGroupName":"rg","subscriptionId":"sub","vmScaleSetName":"set"}}`, "vmss_name", "set"},
	} {
		t.Run(name, func(t *testing.T) {
			metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				switch {
				case r.Header.Get("Metadata") != "true":
					w.WriteHeader(http.StatusBadRequest)
				case r.URL.Path == "/metadata/identity/oauth2/token" && q.Get("resource") == "https://vault.example.com" && q.Get("client_id") == "uai":
					_, _ = io.WriteString(w, `{"access_token":"a.b.c","expires_in":"86399","token_type":"Bearer"}`)
				case r.URL.Path == "/metadata/instance":
					_, _ = io.WriteString(w, tc.compute)
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			}))
			defer metadata.Close()
			body := logInWith(t, "azure/login", auth("azure", "role", "gw", "resource", "https://vault.example.com", "client_id", "uai", "metadata_endpoint", metadata.URL))
			wantBody(t, body, map[string]string{"role": "gw", "jwt": "a.b.c", "subscription_id": "sub", "resource_group_name": "rg", tc.kind: tc.machine})
		})
	}
}

func TestGCPOnAFakeEndpointProvesTheInstanceOrTheAccount(t *testing.T) {
	google := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const account = "/computeMetadata/v1/instance/service-accounts/default/"
		switch {
		case r.URL.Path == account+"identity" && r.Header.Get("Metadata-Flavor") == "Google" && r.URL.Query().Get("format") == "full":
			_, _ = io.WriteString(w, "identity for "+r.URL.Query().Get("audience"))
		case r.URL.Path == account+"token" && r.Header.Get("Metadata-Flavor") == "Google":
			_, _ = io.WriteString(w, `{"access_token":"ya29","expires_in":3599,"token_type":"Bearer"}`)
		case r.URL.Path == "/v1/projects/-/serviceAccounts/gw@p.iam.gserviceaccount.com:signJwt" && r.Header.Get("Authorization") == "Bearer ya29":
			var in struct{ Payload string }
			_ = json.NewDecoder(r.Body).Decode(&in)
			out, _ := json.Marshal(map[string]string{"signedJwt": "signed " + in.Payload})
			_, _ = w.Write(out)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer google.Close()
	body := logInWith(t, "gcp/login", auth("gcp", "role", "gw", "metadata_endpoint", google.URL))
	wantBody(t, body, map[string]string{"role": "gw", "jwt": "identity for http://vault/gw"})

	body = logInWith(t, "gcp/login", auth("gcp", "role", "gw", "service_account", "gw@p.iam.gserviceaccount.com", "metadata_endpoint", google.URL, "iam_endpoint", google.URL))
	wantClaims(t, strings.TrimPrefix(body["jwt"], "signed "), "gw@p.iam.gserviceaccount.com")

	f := newFake(t, nil)
	_, err := openStore(t, f.URL, auth("gcp", "role", "gw", "service_account", "other@p", "metadata_endpoint", google.URL, "iam_endpoint", google.URL)).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "an account that may not be signed for", err, sdk.Unauthenticated)
	if err != nil && !strings.Contains(err.Error(), "iam.serviceAccounts.signJwt") {
		t.Errorf("the error does not name the permission: %v", err)
	}
}

func wantClaims(t *testing.T, text, email string) {
	t.Helper()
	var claims struct {
		Sub, Aud string
		Exp      int64
	}
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		t.Fatalf("claims: %v", err)
	}
	left := time.Until(time.Unix(claims.Exp, 0))
	if claims.Sub != email || claims.Aud != "vault/gw" || left <= 0 || left > 15*time.Minute {
		t.Errorf("claims %+v, want %s, vault/gw and at most 15 minutes", claims, email)
	}
}

func TestGCPOnAFakeEndpointSignsWithAKeyFile(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.Marshal(map[string]string{"type": "service_account", "private_key_id": "k1", "client_email": "gw@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	body := logInWith(t, "gcp/login", auth("gcp", "role", "gw", "key", string(file)))
	parts := strings.Split(body["jwt"], ".")
	if len(parts) != 3 {
		t.Fatalf("the login's token has %d parts, want 3", len(parts))
	}
	var decoded [3][]byte
	for i, p := range parts {
		if decoded[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], decoded[2]); err != nil {
		t.Errorf("the signature is not that of the key: %v", err)
	}
	if string(decoded[0]) != `{"alg":"RS256","kid":"k1","typ":"JWT"}` {
		t.Errorf("the header is %s", decoded[0])
	}
	wantClaims(t, string(decoded[1]), "gw@p.iam.gserviceaccount.com")
}

func TestACloudThatIsDownIsUnavailableAndOneThatRefusesIsNoLogin(t *testing.T) {
	for status, want := range map[int]sdk.Code{400: sdk.Unauthenticated, 404: sdk.Unauthenticated, 429: sdk.Unavailable, 503: sdk.Unavailable, 200: sdk.Unavailable} {
		metadata := httptest.NewServer(reply(status, "<html>canary</html>"))
		_, err := openStore(t, newFake(t, nil).URL, auth("azure", "role", "gw", "metadata_endpoint", metadata.URL)).Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "metadata answers "+http.StatusText(status), err, want)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error quotes the answer: %v", err)
		}
		metadata.Close()
	}
}
