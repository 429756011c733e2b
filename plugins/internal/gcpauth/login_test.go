package gcpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/sdk"
)

// google is Google's own addresses as one server: whatever name a login asks, it is asked.
type google struct {
	mu     sync.Mutex
	asked  []string // "HOST PATH"
	bearer map[string]string
	bodies map[string]string
	status int // of every answer; zero: 200
	body   string
}

func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	at := r.URL.Host + " " + r.URL.Path
	g.asked = append(g.asked, at)
	g.bearer[at], g.bodies[at] = r.Header.Get("Authorization"), body
	w := httptest.NewRecorder()
	w.Header().Set("Metadata-Flavor", "Google")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "7")
	in := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	switch {
	case g.status != 0:
		w.WriteHeader(g.status)
		_, _ = io.WriteString(w, g.body)
	case strings.HasPrefix(r.URL.Host, "sts."):
		_, _ = io.WriteString(w, `{"access_token":"of-sts","token_type":"Bearer","expires_in":3600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`)
	case strings.HasPrefix(r.URL.Host, "iamcredentials."):
		_, _ = fmt.Fprintf(w, `{"accessToken":"of-iam","expireTime":%q}`, in)
	case r.URL.Host == "oauth2.googleapis.com":
		_, _ = fmt.Fprintf(w, `{"access_token":"of-oauth%s","token_type":"Bearer","expires_in":3600}`, strings.Repeat("+", len(g.asked)-1))
	case strings.HasSuffix(r.URL.Path, "/email"):
		_, _ = io.WriteString(w, "vm@acme.iam.gserviceaccount.com")
	default:
		_, _ = io.WriteString(w, `{"access_token":"of-the-machine","expires_in":3600,"token_type":"Bearer"}`)
	}
	return w.Result(), nil
}

func newGoogle() *google { return &google{bearer: map[string]string{}, bodies: map[string]string{}} }

func (g *google) env() sdk.Env { return sdk.Env{HTTPClient: &http.Client{Transport: g}} }

func written(t *testing.T, s set) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, text(t, s).Reveal(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryLoginGivesItsToken(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("CLOUDSDK_CONFIG", "")
	subject := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(subject, []byte("a.subject.token"), 0o600); err != nil {
		t.Fatal(err)
	}
	sa, user := serviceAccount(t), set{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "quota_project_id": "payer"}
	fed := with(federation, set{"credential_source": set{"file": subject}})
	direct := with(fed, set{"service_account_impersonation_url": ""})
	imp := set{"type": "impersonated_service_account", "service_account_impersonation_url": federation["service_account_impersonation_url"], "source_credentials": user}
	for _, c := range []struct {
		name string
		s    Settings
		want string // the token; "jwt": signed by the key itself
		who  string
		asks string // the hosts, in turn
	}{
		{"a key", Settings{Auth: Auth{Key: &Key{text(t, sa)}}}, "jwt", "gateway@acme.iam.gserviceaccount.com", ""},
		{"the file of a key", Settings{Auth: Auth{KeyFile: &KeyFile{Path: written(t, sa)}}}, "jwt", "gateway@acme.iam.gserviceaccount.com", ""},
		{"a user", Settings{Auth: Auth{Key: &Key{text(t, user)}}}, "of-oauth", "", "oauth2.googleapis.com"},
		{"the file of ADC", Settings{Auth: Auth{ADC: &ADC{File: written(t, user)}}}, "of-oauth", "", "oauth2.googleapis.com"},
		{"the machine", Settings{Auth: Auth{ADC: &ADC{}}}, "of-the-machine", "vm@acme.iam.gserviceaccount.com", "169.254.169.254:80 169.254.169.254:80"},
		{"a token", Settings{Auth: Auth{Token: &Token{sdk.SensitiveString("made-elsewhere")}}}, "made-elsewhere", "", ""},
		{"a federation", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, fed)}}}, "of-iam", "gateway@acme.iam.gserviceaccount.com", "sts.googleapis.com iamcredentials.googleapis.com"},
		{"a federation by itself", Settings{Auth: Auth{KeyFile: &KeyFile{Path: written(t, direct)}}}, "of-sts", federation["audience"].(string), "sts.googleapis.com"},
		{"a federation by reference", Settings{Auth: Auth{ExternalAccount: &ExternalAccount{Config: text(t, direct), SubjectToken: sdk.SensitiveString("a.subject.token")}}}, "of-sts", federation["audience"].(string), "sts.googleapis.com"},
		{"an impersonating file", Settings{Auth: Auth{Key: &Key{text(t, imp)}}}, "of-iam", "gateway@acme.iam.gserviceaccount.com", "oauth2.googleapis.com iamcredentials.googleapis.com"},
		{"a chain", Settings{Impersonate: []string{"a@acme.iam.gserviceaccount.com", "b@acme.iam.gserviceaccount.com"}, Auth: Auth{Key: &Key{text(t, user)}}}, "of-iam", "b@acme.iam.gserviceaccount.com", "oauth2.googleapis.com iamcredentials.googleapis.com"},
	} {
		g := newGoogle()
		if ps := c.s.Validate(); len(ps) != 0 {
			t.Errorf("%s: %v", c.name, ps)
		}
		grant, err := c.s.login(t.Context(), g.env())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := string(grant.Token.value.Reveal())
		if c.want == "jwt" && strings.Count(got, ".") == 2 {
			got = "jwt"
		}
		var hosts []string
		for _, a := range g.asked {
			hosts = append(hosts, strings.Fields(a)[0])
		}
		if asks := strings.Join(hosts, " "); got != c.want || grant.Token.who != c.who || asks != c.asks {
			t.Errorf("%s: another token, for %q, of %q; want %q for %q of %q", c.name, grant.Token.who, asks, c.want, c.who, c.asks)
		}
		if c.s.Auth.Token == nil && (grant.TTL <= 50*time.Minute || grant.TTL > time.Hour) {
			t.Errorf("%s: the token lasts %v, want about an hour", c.name, grant.TTL)
		}
		for at, body := range g.bodies {
			if strings.HasPrefix(at, "sts.") && !strings.Contains(body, "a.subject.token") {
				t.Errorf("%s: the subject's token was not exchanged", c.name)
			}
		}
	}
}

func TestAChainIsAskedForAsGoogleWantsIt(t *testing.T) {
	g := newGoogle()
	s := Settings{Impersonate: []string{"a@acme.iam.gserviceaccount.com", "b@acme.iam.gserviceaccount.com"}, Auth: Auth{Token: &Token{sdk.SensitiveString("mine")}}}
	if _, err := s.login(t.Context(), g.env()); err != nil {
		t.Fatal(err)
	}
	const at = "iamcredentials.googleapis.com /v1/projects/-/serviceAccounts/b@acme.iam.gserviceaccount.com:generateAccessToken"
	var body struct{ Delegates, Scope []string }
	if err := json.Unmarshal([]byte(g.bodies[at]), &body); err != nil {
		t.Fatalf("asked %q: %v", g.asked, err)
	}
	if len(body.Delegates) != 1 || body.Delegates[0] != "projects/-/serviceAccounts/a@acme.iam.gserviceaccount.com" || g.bearer[at] != "Bearer mine" {
		t.Errorf("delegates %q, want the first of the chain, with our own login", body.Delegates)
	}
}

func TestAFailedLoginSaysWhyAndQuotesNothing(t *testing.T) {
	const secret = "do-not-quote-me"
	user := set{"type": "authorized_user", "client_id": "c", "client_secret": secret, "refresh_token": secret}
	broken := with(serviceAccount(t), set{"private_key": secret})
	chain := []string{"b@acme.iam.gserviceaccount.com"}
	for _, c := range []struct {
		name   string
		s      Settings
		status int
		body   string
		want   sdk.Code
		says   string
	}{
		{"a credential that was revoked", Settings{Auth: Auth{Key: &Key{text(t, user)}}}, 400, `{"error":"invalid_grant","error_description":"` + secret + `"}`, sdk.Unauthenticated, "invalid_grant"},
		{"no right to impersonate", Settings{Impersonate: chain, Auth: Auth{Token: &Token{sdk.SensitiveString(secret)}}}, 403, `{"error":{"status":"PERMISSION_DENIED","message":"` + secret + `"}}`, sdk.PermissionDenied, "roles/iam.serviceAccountTokenCreator"},
		{"a metadata server without an account", Settings{Auth: Auth{ADC: &ADC{MetadataHost: "m"}}}, 404, "", sdk.Unauthenticated, "404"},
		{"too many logins", Settings{Auth: Auth{Key: &Key{text(t, user)}}}, 429, secret, sdk.ResourceExhausted, "429"},
		{"an endpoint that is down", Settings{Auth: Auth{Key: &Key{text(t, user)}}}, 503, secret, sdk.Unavailable, "503"},
		{"an answer that is none", Settings{Auth: Auth{Key: &Key{text(t, user)}}}, 200, secret, sdk.Internal, "did not answer with a token"},
		{"a key that is none", Settings{Auth: Auth{Key: &Key{text(t, broken)}}}, 0, "", sdk.Unauthenticated, "cannot be used"},
		{"a file that is not there", Settings{Auth: Auth{KeyFile: &KeyFile{Path: "/nonexistent/key.json"}}}, 0, "", sdk.Unauthenticated, "/nonexistent/key.json"},
		{"a file that is none", Settings{Auth: Auth{KeyFile: &KeyFile{Path: written(t, set{"type": secret})}}}, 0, "", sdk.Unauthenticated, "must be of the type"},
	} {
		t.Setenv("HOME", "/nonexistent")
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
		g := newGoogle()
		g.status, g.body = c.status, c.body
		_, err := c.s.login(t.Context(), g.env())
		if sdk.CodeOf(err) != c.want || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v (code %v), want %v that says %q", c.name, err, sdk.CodeOf(err), c.want, c.says)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: the error quotes what was sent or answered", c.name)
		}
		var e *sdk.Error
		if c.status == 429 && (!errors.As(err, &e) || e.RetryAfter != 7*time.Second) {
			t.Errorf("%s: %v, want to be told to come again in 7 s", c.name, err)
		}
	}
}

func TestADialersRefusalIsNotAnOutage(t *testing.T) {
	refusal := sdk.Errorf(sdk.PermissionDenied, "dial sts.example.com:443: not an endpoint that the settings declare")
	refusal.Reason = "reach"
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refusal }}
	s := Settings{Auth: Auth{Key: &Key{text(t, set{"type": "authorized_user", "refresh_token": "r", "client_id": "c", "client_secret": "s"})}}}
	_, err := s.login(t.Context(), sdk.Env{HTTPClient: &http.Client{Transport: transport}})
	if sdk.CodeOf(err) != sdk.PermissionDenied {
		t.Errorf("login: %v, want the dialer's own refusal", err)
	}
}

// service is a gRPC service that takes some tokens.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	mu   sync.Mutex
	good func(token string) bool
	seen []metadata.MD
}

func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	s.seen = append(s.seen, md)
	if !s.good(strings.Join(md.Get("authorization"), ",")) {
		return nil, status.Error(codes.Unauthenticated, "no")
	}
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func serve(t *testing.T, s *service) (endpoint string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(g, s)
	var done sync.WaitGroup
	done.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() { g.Stop(); done.Wait() })
	return "http://" + l.Addr().String()
}

func TestARefusedTokenCostsOneLogin(t *testing.T) {
	g := newGoogle()
	env := g.env()
	env.DialContext = (&net.Dialer{}).DialContext
	srv := &service{}
	srv.good = func(token string) bool { return token == "Bearer of-oauth+" } // the second that is given out
	user := set{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "quota_project_id": "payer"}
	s := Settings{Service: "x", Endpoint: serve(t, srv), Auth: Auth{Key: &Key{text(t, user)}}}
	c, err := s.Connect(env)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := grpc_health_v1.NewHealthClient(c)
	for range 3 {
		if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("call: %v", err)
		}
	}
	if len(g.asked) != 2 || len(srv.seen) != 4 {
		t.Errorf("%d logins and %d calls, want 2 and 4: one more of each", len(g.asked), len(srv.seen))
	}
	if got := srv.seen[0].Get("x-goog-user-project"); len(got) != 1 || got[0] != "payer" {
		t.Errorf("the quota project is %q, want that of the file", got)
	}
}

func TestAKeyThatWasReplacedInItsFileIsTakenOnceTheOldOneIsRefused(t *testing.T) {
	key := func(email string) set { return with(serviceAccount(t), set{"client_email": email}) }
	path := written(t, key("old@acme.iam.gserviceaccount.com"))
	srv := &service{good: func(string) bool { return true }}
	s := Settings{Service: "x", Endpoint: serve(t, srv), Auth: Auth{KeyFile: &KeyFile{Path: path}}}
	c, err := s.Connect(sdk.Env{DialContext: (&net.Dialer{}).DialContext, HTTPClient: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	check := func(want string) {
		t.Helper()
		if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("call: %v", err)
		}
		if who, err := c.Identity(t.Context()); err != nil || who != want {
			t.Errorf("the identity is %q (%v), want %q", who, err, want)
		}
	}
	check("old@acme.iam.gserviceaccount.com")
	old := srv.seen[0].Get("authorization")[0]
	if err := os.WriteFile(path, text(t, key("new@acme.iam.gserviceaccount.com")).Reveal(), 0o600); err != nil {
		t.Fatal(err)
	}
	check("old@acme.iam.gserviceaccount.com") // its token still holds
	srv.mu.Lock()
	srv.good = func(token string) bool { return token != old }
	srv.mu.Unlock()
	check("new@acme.iam.gserviceaccount.com")
}

func TestManyFirstCallsShareOneLogin(t *testing.T) {
	g := newGoogle()
	env := g.env()
	env.DialContext = (&net.Dialer{}).DialContext
	srv := &service{good: func(token string) bool { return token == "Bearer of-oauth" }}
	s := Settings{Service: "x", QuotaProject: "ours", Endpoint: serve(t, srv), Auth: Auth{Key: &Key{text(t, set{"type": "authorized_user", "refresh_token": "r", "client_id": "c", "client_secret": "s"})}}}
	c, err := s.Connect(env)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
				t.Errorf("call: %v", err)
			}
		})
	}
	all.Wait()
	if len(g.asked) != 1 {
		t.Errorf("%d logins, want 1", len(g.asked))
	}
	if got := srv.seen[0].Get("x-goog-user-project"); len(got) != 1 || got[0] != "ours" {
		t.Errorf("the quota project is %q, want that of the settings", got)
	}
}

func TestATokenThatEndedIsUnauthenticated(t *testing.T) {
	srv := &service{good: func(string) bool { return false }}
	s := Settings{Service: "x", Endpoint: serve(t, srv), Auth: Auth{Token: &Token{sdk.SensitiveString("old")}}}
	c, err := s.Connect(sdk.Env{DialContext: (&net.Dialer{}).DialContext, HTTPClient: http.DefaultClient})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if got := Failure(t.Context(), "call", "x", err, func(*status.Status) string { return "" }); sdk.CodeOf(got) != sdk.Unauthenticated {
		t.Errorf("call: %v, want unauthenticated", got)
	}
}
