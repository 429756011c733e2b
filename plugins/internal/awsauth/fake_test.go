package awsauth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// tokenService answers the Security Token Service's calls, and for every other path what a test has set. It keeps what it
// was asked.
type tokenService struct {
	URL    string
	answer func(w http.ResponseWriter, action string, form url.Values) bool // true: it has answered
	other  http.HandlerFunc

	mu    sync.Mutex
	calls []call
}

type call struct {
	action, key string // of the access key that signed it
	form        url.Values
}

func startSTS(t *testing.T) *tokenService {
	t.Helper()
	s := &tokenService{}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path != "/" && s.other != nil {
		s.other(w, q)
		return
	}
	if err := q.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, credential, _ := strings.Cut(q.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	c := call{q.PostForm.Get("Action"), key, q.PostForm}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	n := 0
	for _, x := range s.calls {
		if x.action == c.action {
			n++
		}
	}
	s.mu.Unlock()
	if s.answer != nil && s.answer(w, c.action, c.form) {
		return
	}
	if c.action == "GetCallerIdentity" {
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:of:%s</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`, key)
		return
	}
	role := c.form.Get("RoleArn")
	fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s-%[3]d</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
		<SessionToken>t</SessionToken><Expiration>%[4]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		c.action, role[strings.LastIndexByte(role, '/')+1:], n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// asked gives the calls of an action.
func (s *tokenService) asked(action string) []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []call
	for _, c := range s.calls {
		if c.action == action {
			out = append(out, c)
		}
	}
	return out
}

func refuseWith(w http.ResponseWriter, status int, word string) bool {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`, word)
	return true
}

// opened is a session with the server as every service.
func opened(t *testing.T, s *tokenService, auth Auth, role *AssumeRole) *Session {
	t.Helper()
	return openedWith(t, Settings{Region: "eu-west-1", Endpoint: s.URL, Auth: auth, AssumeRole: role})
}

func openedWith(t *testing.T, s Settings) *Session {
	t.Helper()
	s = service(s)
	if ps := s.Validate(); len(ps) > 0 {
		t.Fatalf("settings: %v", ps)
	}
	x, err := s.Open(sdk.Env{HTTPClient: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func wantIdentity(t *testing.T, x *Session, want string) {
	t.Helper()
	if got, err := x.Identity(t.Context()); err != nil || got != want {
		t.Errorf("identity %q, %v; want %q", got, err, want)
	}
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}
