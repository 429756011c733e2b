package awsauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/keyway-dev/keyway/sdk"
)

func TestAChainOfRolesIsAssumedInTurnOnceForAllCallers(t *testing.T) {
	srv := startSTS(t)
	x := opened(t, srv, Auth{Static: key()}, &AssumeRole{
		ARN: "arn:aws:iam::123456789012:role/last", ExternalID: "gateway-7", SessionName: "gateway", Duration: time.Hour,
		Tags: map[string]string{"team": "llm", "env": "prod"}, TransitiveTagKeys: []string{"team"},
		Via: []Hop{{ARN: "arn:aws:iam::123456789012:role/first", SessionName: "keyway"}},
	})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { wantIdentity(t, x, "arn:of:last-2") })
	}
	wg.Wait()
	asked := srv.asked("AssumeRole")
	if len(asked) != 2 || asked[0].key != key().AccessKeyID || asked[1].key != "first-1" {
		t.Fatalf("%d roles were assumed, want the first with the key and the last with the first", len(asked))
	}
	f := asked[1].form
	for k, want := range map[string]string{"RoleSessionName": "gateway", "ExternalId": "gateway-7", "DurationSeconds": "3600", "Policy": "",
		"Tags.member.1.Key": "env", "Tags.member.2.Value": "llm", "TransitiveTagKeys.member.1": "team"} {
		if got := f.Get(k); got != want {
			t.Errorf("AssumeRole with %s %q, want %q", k, got, want)
		}
	}
	if asked[0].form.Has("ExternalId") || asked[0].form.Has("PolicyArns.member.1.arn") {
		t.Error("the first role got what is the last one's")
	}
}

func TestATokenIsReadAnewForEachLogin(t *testing.T) {
	srv := startSTS(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	x := opened(t, srv, Auth{WebIdentity: &WebIdentity{TokenFile: file, RoleARN: "arn:aws:iam::123456789012:role/pod"}}, nil)
	wantIdentity(t, x, "arn:of:pod-1")
	write("second\n")
	srv.answer = onceRefused("GetCallerIdentity", "ExpiredToken")
	wantIdentity(t, x, "arn:of:pod-2")
	asked := srv.asked("AssumeRoleWithWebIdentity")
	if len(asked) != 2 || asked[0].form.Get("WebIdentityToken") != "first" || asked[1].form.Get("WebIdentityToken") != "second" {
		t.Errorf("%d logins, want one with each token, without its line end", len(asked))
	}
	if asked[0].form.Get("RoleSessionName") != "keyway" || asked[0].form.Has("Policy") || asked[0].key != "" {
		t.Error("the login has another session name, a policy or a signature")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err := opened(t, srv, Auth{WebIdentity: &WebIdentity{TokenFile: file, RoleARN: "arn:aws:iam::123456789012:role/pod"}}, nil).Identity(t.Context())
	wantCode(t, "a token file that is gone", err, sdk.Unauthenticated)
}

// onceRefused has an action refused the first time.
func onceRefused(action, word string) func(http.ResponseWriter, string, url.Values) bool {
	var n atomic.Int64
	return func(w http.ResponseWriter, a string, _ url.Values) bool {
		return a == action && n.Add(1) == 1 && refuseWith(w, http.StatusForbidden, word)
	}
}

func TestATokenWithoutARoleIsForTheRoleToAssume(t *testing.T) {
	srv := startSTS(t)
	token := &WebIdentity{Token: sdk.SensitiveString("jwt")}
	wantIdentity(t, opened(t, srv, Auth{WebIdentity: token}, role()), "arn:of:gateway-1")
	same := &WebIdentity{Token: sdk.SensitiveString("jwt"), RoleARN: role().ARN}
	wantIdentity(t, opened(t, srv, Auth{WebIdentity: same}, role()), "arn:of:gateway-2")
	if n := len(srv.asked("AssumeRole")); n != 0 {
		t.Errorf("%d roles were assumed beside the token's", n)
	}
	other := &WebIdentity{Token: sdk.SensitiveString("jwt"), RoleARN: "arn:aws:iam::123456789012:role/pod"}
	wantIdentity(t, opened(t, srv, Auth{WebIdentity: other}, role()), "arn:of:gateway-1")
}

func TestALoginThatIsRefusedSaysWhatItNeeds(t *testing.T) {
	for word, want := range map[string]sdk.Code{"AccessDenied": sdk.PermissionDenied, "InvalidClientTokenId": sdk.Unauthenticated,
		"ExpiredTokenException": sdk.Unauthenticated, "SignatureDoesNotMatch": sdk.Unauthenticated, "ValidationError": sdk.Unauthenticated} {
		srv := startSTS(t)
		srv.answer = func(w http.ResponseWriter, action string, _ url.Values) bool {
			return action == "AssumeRole" && refuseWith(w, http.StatusForbidden, word)
		}
		_, err := opened(t, srv, Auth{Static: key()}, role()).Identity(t.Context())
		wantCode(t, word, err, want)
		if e := asError(t, err); e.Reason != word || !strings.Contains(e.Message, role().ARN) || want == sdk.PermissionDenied && !strings.Contains(e.Message, "sts:AssumeRole") {
			t.Errorf("%s: %v; want the reason, the role and the permission", word, err)
		}
	}
}

func TestRefusedCredentialsAreRenewedOnceAndAKeyIsNot(t *testing.T) {
	srv := startSTS(t)
	srv.answer = func(w http.ResponseWriter, action string, _ url.Values) bool {
		return action == "GetCallerIdentity" && refuseWith(w, http.StatusForbidden, "InvalidClientTokenId")
	}
	x := opened(t, srv, Auth{Static: key()}, role())
	for range 3 {
		_, err := x.Identity(t.Context())
		wantCode(t, "a session that is refused", err, sdk.Unauthenticated)
		x.mu.Lock()
		x.forced = time.Now().Add(time.Hour) // the next calls come within 5 s of the login, however long they take
		x.mu.Unlock()
	}
	if n := len(srv.asked("AssumeRole")); n != 2 {
		t.Errorf("%d logins, want one and one more within 5 s", n)
	}
	_, err := opened(t, srv, Auth{Static: key()}, nil).Identity(t.Context())
	wantCode(t, "a key that is refused", err, sdk.Unauthenticated)
	if n := len(srv.asked("GetCallerIdentity")); n != 5 {
		t.Errorf("%d calls, want 3 of the session, one repetition, and one with the key", n)
	}
}

func TestContainerCredentialsAreAskedForWithTheTokenOfTheirFile(t *testing.T) {
	srv := startSTS(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("pod-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv.other = func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/v1/credentials" || q.Header.Get("Authorization") != "pod-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"AccessKeyId":"POD","SecretAccessKey":"s","Token":"t","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	wantIdentity(t, opened(t, srv, Auth{Container: &Container{URI: srv.URL + "/v1/credentials", TokenFile: file}}, nil), "arn:of:POD")
	wantIdentity(t, opened(t, srv, Auth{Container: &Container{URI: srv.URL + "/v1/credentials", Token: sdk.SensitiveString("pod-token")}}, nil), "arn:of:POD")
	_, err := opened(t, srv, Auth{Container: &Container{URI: srv.URL + "/v1/credentials"}}, nil).Identity(t.Context())
	wantCode(t, "a container's endpoint that refuses", err, sdk.Unauthenticated)
}

func TestAnInstanceIsAskedByVersionTwoOnly(t *testing.T) {
	srv := startSTS(t)
	has := true
	srv.other = func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.Method == http.MethodPut && q.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = w.Write([]byte("session"))
		case q.Header.Get("X-Aws-Ec2-Metadata-Token") != "session":
			w.WriteHeader(http.StatusUnauthorized)
		case !has:
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(q.URL.Path, "/security-credentials/"):
			_, _ = w.Write([]byte("gateway"))
		default:
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"INSTANCE","SecretAccessKey":"s","Token":"t","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}
	wantIdentity(t, opened(t, srv, Auth{Instance: &Instance{Endpoint: srv.URL}}, nil), "arn:of:INSTANCE")
	has = false
	_, err := opened(t, srv, Auth{Instance: &Instance{Endpoint: srv.URL}}, nil).Identity(t.Context())
	wantCode(t, "an instance without a role", err, sdk.Unauthenticated)
}

func TestAProfileIsReadWithItsRoleAndNothingOfTheEnvironment(t *testing.T) {
	srv := startSTS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("AWS_PROFILE", "no-such-profile")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	creds := file("credentials", "[base]\naws_access_key_id = BASE\naws_secret_access_key = s\n")
	conf := file("config", "[profile gateway]\nrole_arn = arn:aws:iam::123456789012:role/gateway\nsource_profile = base\n")
	profile := Auth{Profile: &Profile{Name: "gateway", ConfigFile: conf, CredentialsFile: creds}}
	wantIdentity(t, opened(t, srv, profile, nil), "arn:of:gateway-1")
	if asked := srv.asked("AssumeRole"); len(asked) != 1 || asked[0].key != "BASE" {
		t.Errorf("roles %v, want one with the key of the source profile", asked)
	}
	_, err := opened(t, srv, Auth{Profile: &Profile{Name: "none", ConfigFile: conf}}, nil).Identity(t.Context())
	wantCode(t, "a profile that is not there", err, sdk.Unauthenticated)
	_, err = opened(t, srv, Auth{Static: key()}, nil).Identity(t.Context())
	wantCode(t, "a key beside an environment that does not fit", err, sdk.OK)
	_, err = opened(t, srv, Auth{Default: &Default{}}, nil).Identity(t.Context())
	wantCode(t, "the default chain in that environment", err, sdk.Unauthenticated)
}

// failing gives credentials that end in an hour, and then fails.
type failing struct{ calls int }

func (f *failing) Retrieve(_ context.Context) (aws.Credentials, error) {
	if f.calls++; f.calls > 1 {
		return aws.Credentials{}, sdk.Errorf(sdk.Unavailable, "down")
	}
	return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

func TestCredentialsAreUsedToTheirEndWhereRenewingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{}
		c := new(Session).cached("test", "", f)
		for _, at := range []time.Duration{0, 30 * time.Minute, 28 * time.Minute, 1*time.Minute + 30*time.Second} {
			<-time.After(at)
			if got, err := c.Retrieve(t.Context()); err != nil || got.AccessKeyID != "A" {
				t.Fatalf("after %v more: %v", at, err)
			}
		}
		if f.calls < 2 {
			t.Error("nobody tried to renew them before their end")
		}
		<-time.After(time.Minute)
		_, err := c.Retrieve(t.Context())
		wantCode(t, "after their end", err, sdk.Unavailable)
	})
}
