package httpapi_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestRequestsThatAreRefused(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("k", canary)
	for _, x := range []struct {
		method, path, body string
		status             int
		code               sdk.Code
		says               string
	}{
		{"GET", "/v1/stores/prod/secret", "", 400, sdk.InvalidArgument, "lacks the name"},
		{"GET", "/v1/stores/prod/secret?name=", "", 400, sdk.InvalidArgument, "lacks the name"},
		{"GET", "/v1/stores/prod/secret?name=a&name=b", "", 400, sdk.InvalidArgument, "2 times"},
		{"GET", "/v1/stores/prod/secret?name=k&key=b", "", 400, sdk.InvalidArgument, `no key "key"`},
		{"GET", "/v1/stores/prod/secret?name=k&pointer=a", "", 400, sdk.InvalidArgument, "pointer"},
		{"GET", "/v1/stores/prod/secret?name=../k", "", 400, sdk.InvalidArgument, ".."},
		{"GET", "/v1/stores/prod/secret?name=%zz", "", 400, sdk.InvalidArgument, "malformed"},
		{"GET", "/v1/stores/a%2Fb/secret?name=k", "", 400, sdk.InvalidArgument, "name of a store"},
		{"GET", "/v1/stores/prod/secret?name=absent", "", 404, sdk.NotFound, "absent"},
		{"GET", "/v1/stores/other/secret?name=k", "", 404, sdk.NotFound, "prod, spare"},
		{"GET", "/v1/stores/env/secret?name=SECRET", "", 403, sdk.PermissionDenied, "not served"},
		{"GET", "/v1/status?verbose=1", "", 400, sdk.InvalidArgument, "query.verbose"},
		{"GET", "/v1/plugins/other/schema", "", 404, sdk.NotFound, `"other"`},
		{"GET", "/v2/status", "", 404, sdk.Unimplemented, "openapi.json"},
		{"PUT", "/v1/stores/prod/secret?name=k", canary, 405, sdk.Unimplemented, "GET"},
		{"GET", "/v1/reload", "", 405, sdk.Unimplemented, "POST"},
		{"POST", "/v1/resolve", "", 400, sdk.InvalidArgument, "body is required"},
		{"POST", "/v1/resolve", `{"refs":`, 400, sdk.InvalidArgument, "body"},
		{"POST", "/v1/resolve", `{"refs":[]}`, 400, sdk.InvalidArgument, "body.refs"},
		{"POST", "/v1/resolve", `{"refs":["secret://prod/k"],"stric":true}`, 400, sdk.InvalidArgument, "body.stric"},
		{"POST", "/v1/resolve", `{"refs":[["` + canary + `"]]}`, 400, sdk.InvalidArgument, "body.refs[0]"},
		{"POST", "/v1/plugins/example/swap", `{}`, 400, sdk.InvalidArgument, "version or a file"},
		{"POST", "/v1/plugins/example/swap", `{"version":"1","file":"/x"}`, 400, sdk.InvalidArgument, "version or a file"},
		{"POST", "/v1/plugins/example/swap", `{"version":"1","watch":"soon"}`, 400, sdk.InvalidArgument, "duration"},
		{"POST", "/v1/reload", "", 501, sdk.Unimplemented, "reload"},
	} {
		t.Run(fmt.Sprintf("%s %s %s", x.method, x.path, x.body), func(t *testing.T) {
			p := s.do(t, x.method, x.path, x.body).refused(t, x.status, x.code)
			if !strings.Contains(p.Detail, x.says) {
				t.Errorf("detail %q, want it to say %q", p.Detail, x.says)
			}
		})
	}
}

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	s := serving(t, twoStores, nil)
	if got := s.do(t, "DELETE", "/v1/reload", "").Header.Get("Allow"); got != "POST" {
		t.Errorf("Allow %q, want POST", got)
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	s := serving(t, twoStores, nil)
	r := s.do(t, "POST", "/v1/resolve", `{"refs":["`+strings.Repeat("x", 1<<20)+`"]}`)
	r.refused(t, http.StatusRequestEntityTooLarge, sdk.InvalidArgument)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 17<<10))
	res, err := s.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("17 KiB of headers: status %d, want 431", res.StatusCode)
	}
}

func TestRequestIDsAreKeptWhenWellFormed(t *testing.T) {
	s := serving(t, twoStores, nil)
	if got := s.get(t, "/livez", "X-Request-Id", "abc-1.2:3_D").Header.Get("X-Request-Id"); got != "abc-1.2:3_D" {
		t.Errorf("X-Request-Id %q, want the caller's", got)
	}
	for _, bad := range []string{"a b", "ä", "a\"b", strings.Repeat("x", 129)} {
		if got := s.get(t, "/livez", "X-Request-Id", bad).Header.Get("X-Request-Id"); got == bad || got == "" {
			t.Errorf("X-Request-Id %q after %q, want one of the server's", got, bad)
		}
	}
}

func TestTheBackendsRefusalsHaveTheirStatus(t *testing.T) {
	s := serving(t, twoStores, nil)
	for _, x := range []struct {
		code   sdk.Code
		status int
	}{
		{sdk.PermissionDenied, 502}, {sdk.Unauthenticated, 502}, {sdk.FailedPrecondition, 409}, {sdk.DataLoss, 502}, {sdk.Internal, 502},
		{sdk.Unavailable, 503}, // the last: then the store is not asked for a while
	} {
		name := strings.ReplaceAll(x.code.String(), " ", "-")
		s.backend.Set(name, canary)
		s.backend.Fail(name, sdk.Errorf(x.code, "get %q: as asked", name))
		p := s.get(t, "/v1/stores/prod/secret?name="+name).refused(t, x.status, x.code)
		if p.Store != "prod" {
			t.Errorf("%v: store %q, want prod", x.code, p.Store)
		}
	}
}

func TestAThrottledReadSaysWhenToComeAgain(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("k", canary)
	s.backend.Fail("k", &sdk.Error{Code: sdk.ResourceExhausted, Message: "get: too many calls", RetryAfter: 90 * time.Minute})
	r := s.get(t, "/v1/stores/prod/secret?name=k")
	p := r.refused(t, http.StatusServiceUnavailable, sdk.ResourceExhausted)
	if header := r.Header.Get("Retry-After"); p.RetryAfter == 0 || header != strconv.Itoa(p.RetryAfter) {
		t.Errorf("retry_after %d, Retry-After %q; want both, and the same", p.RetryAfter, header)
	}
}
