package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// newClient makes the client for identity tokens. A metadata service is never behind a proxy.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme != "https" {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *Sources) google(ctx context.Context, what, audience string) (sdk.Secret, error) {
	host, ok := s.env("GCE_METADATA_HOST")
	if !ok || host == "" {
		host = "metadata.google.internal"
	}
	target := url.URL{Scheme: "http", Host: host, Path: "/computeMetadata/v1/instance/service-accounts/default/identity",
		RawQuery: url.Values{"audience": {audience}}.Encode()}
	body, err := s.fetch(ctx, what, target.String(), http.Header{"Metadata-Flavor": {"Google"}})
	if err != nil {
		return sdk.Secret{}, err
	}
	return token(what, sdk.NewSensitive(trimNewline(body.Reveal())))
}

func (s *Sources) github(ctx context.Context, what, audience string) (sdk.Secret, error) {
	address, _ := s.env("ACTIONS_ID_TOKEN_REQUEST_URL")
	bearer, _ := s.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || bearer == "" {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound,
			"read %s: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set; the job needs \"permissions: id-token: write\"", what)
	}
	target, err := url.Parse(address)
	if err != nil || target.Host == "" || target.Scheme != "https" && !loopback(target) {
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "read %s: ACTIONS_ID_TOKEN_REQUEST_URL is not an https address", what)
	}
	query := target.Query()
	query.Set("audience", audience)
	target.RawQuery = query.Encode()
	body, err := s.fetch(ctx, what, target.String(), http.Header{
		"Authorization": {"Bearer " + bearer}, "Accept": {"application/json; api-version=2.0"}})
	if err != nil {
		return sdk.Secret{}, err
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(body.Reveal(), &answer) != nil || answer.Value == "" {
		return sdk.Secret{}, sdk.Errorf(sdk.DataLoss, "read %s: the answer has no token", what)
	}
	return token(what, sdk.SensitiveString(answer.Value))
}

// loopback reports whether an address stays on this machine, where http is as safe as https.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && ip != nil && ip.IsLoopback()
}

// maxToken bounds an answer with a token, in bytes; real ones have a few thousand.
const maxToken = 64 << 10

// fetch gets an answer of status 200. Errors name the service, never its answer nor the whole address.
func (s *Sources) fetch(ctx context.Context, what, address string, header http.Header) (sdk.Sensitive, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return sdk.Sensitive{}, sdk.Errorf(sdk.InvalidArgument, "read %s: the address is malformed", what)
	}
	r.Header = header
	answer, err := s.client.Do(r)
	if err != nil {
		return sdk.Sensitive{}, transport(what, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return sdk.Sensitive{}, status(what, answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxToken+1))
	switch {
	case err != nil:
		return sdk.Sensitive{}, transport(what, err)
	case len(body) > maxToken:
		return sdk.Sensitive{}, sdk.Errorf(sdk.DataLoss, "read %s: the answer is over the limit of %d bytes", what, maxToken)
	}
	return sdk.NewSensitive(body), nil
}

func transport(what string, err error) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	code := sdk.CodeOf(err)
	if code != sdk.Canceled && code != sdk.DeadlineExceeded {
		code = sdk.Unavailable
	}
	return sdk.Errorf(code, "read %s: %w", what, err)
}

func status(what string, code int) error {
	e := sdk.Errorf(sdk.Internal, "read %s: the token service answered %d", what, code)
	e.Reason = http.StatusText(code)
	switch {
	case code >= 500:
		e.Code = sdk.Unavailable
	case code == http.StatusTooManyRequests:
		e.Code = sdk.ResourceExhausted
	case code == http.StatusUnauthorized:
		e.Code = sdk.Unauthenticated
	case code == http.StatusForbidden:
		e.Code = sdk.PermissionDenied
	case code == http.StatusNotFound:
		e.Code = sdk.NotFound
	case code == http.StatusBadRequest:
		e.Code = sdk.InvalidArgument
	}
	return e
}

// expiry is the exp claim of a JWT; zero for what is none.
func expiry(t sdk.Sensitive) time.Time {
	parts := strings.Split(string(t.Reveal()), ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 || claims.Exp > math.MaxInt32*100 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
