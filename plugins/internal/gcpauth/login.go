package gcpauth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/externalaccount"
	"cloud.google.com/go/auth/credentials/impersonate"

	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

// maxAnswer is the most that is read of a login's answer, in bytes.
const maxAnswer = 1 << 20

// token is what calls carry.
type token struct {
	value sdk.Sensitive
	who   string // empty: nobody knows
	quota string // the project that the login's own file says requests count against
}

// found is a login that is ready to be made.
type found struct {
	auth.TokenProvider
	who, quota string
}

// source is how tokens come about. Files are read and clients are made at each login, so that a credential that was
// replaced is taken.
func (s *Settings) source(env sdk.Env) session.Source[token] {
	return session.Source[token]{
		Login:  func(ctx context.Context) (session.Grant[token], error) { return s.login(ctx, env) },
		Once:   s.Auth.Token != nil && len(s.Impersonate) == 0,
		Same:   func(a, b token) bool { return a.value.Equal(b.value) },
		Logger: env.Logger,
	}
}

func (s *Settings) login(ctx context.Context, env sdk.Env) (session.Grant[token], error) {
	w := &witness{next: env.HTTPClient}
	client := &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	f, err := s.find(ctx, client)
	if err != nil {
		return session.Grant[token]{}, w.classify(ctx, "login", err)
	}
	if len(s.Impersonate) > 0 {
		if f, err = s.impersonate(f, client); err != nil {
			return session.Grant[token]{}, w.classify(ctx, "login", err)
		}
	}
	t, err := f.Token(ctx)
	switch {
	case err != nil:
		return session.Grant[token]{}, w.classify(ctx, s.title(f.who), err)
	case t.Value == "" || !printable([]byte(t.Value)):
		return session.Grant[token]{}, sdk.Errorf(sdk.Internal, "%s: the answer holds no token", s.title(f.who))
	}
	g := session.Grant[token]{Token: token{value: sdk.SensitiveString(t.Value), who: f.who, quota: f.quota}}
	if !t.Expiry.IsZero() {
		g.TTL = max(time.Second, time.Until(t.Expiry))
	}
	return g, nil
}

// title says in an error whose login it was.
func (s *Settings) title(who string) string {
	if n := len(s.Impersonate); n > 0 {
		return "login as " + s.Impersonate[n-1] + " (needs roles/iam.serviceAccountTokenCreator on it)"
	}
	if who == "" {
		return "login"
	}
	return "login as " + who
}

// find makes the login that the settings name.
func (s *Settings) find(ctx context.Context, client *http.Client) (found, error) {
	switch a := s.Auth; {
	case a.Key != nil:
		return s.parsed(a.Key.JSON.Reveal(), client)
	case a.KeyFile != nil:
		return s.read(a.KeyFile.Path, client)
	case a.ExternalAccount != nil:
		if a.ExternalAccount.SubjectToken.Len() > 0 {
			return s.federated(a.ExternalAccount, client)
		}
		return s.parsed(a.ExternalAccount.Config.Reveal(), client)
	case a.Token != nil:
		return found{TokenProvider: fixed(a.Token.AccessToken)}, nil
	case a.ADC.named() != "":
		return s.read(a.ADC.named(), client)
	}
	if path := s.Auth.ADC.wellKnown(); path != "" {
		if raw, err := os.ReadFile(path); err == nil {
			return s.parsed(raw, client)
		}
	}
	m := machine{host: s.Auth.ADC.metadata(), client: client}
	return found{TokenProvider: m, who: m.email(ctx)}, nil
}

// read makes the login of a credential file.
func (s *Settings) read(path string, client *http.Client) (found, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return found{}, err
	}
	return s.parsed(raw, client)
}

// parsed makes the login of a credential file's content.
func (s *Settings) parsed(raw []byte, client *http.Client) (found, error) {
	f, fault := parseFile(raw, s.universe(), allTypes...)
	if fault != "" {
		return found{}, sdk.Errorf(sdk.Unauthenticated, "the credential file %s", fault)
	}
	c, err := credentials.NewCredentialsFromJSON(f.Type, raw, &credentials.DetectOptions{
		Scopes: []string{scope}, UseSelfSignedJWT: true, DisableAsyncRefresh: true,
		Client: client, UniverseDomain: s.UniverseDomain, Logger: quiet(),
	})
	if err != nil {
		return found{}, err
	}
	return found{TokenProvider: c, who: f.who(), quota: f.QuotaProject}, nil
}

// federated makes the login of an external account whose token is in the settings.
func (s *Settings) federated(a *ExternalAccount, client *http.Client) (found, error) {
	f, fault := parseFile(a.Config.Reveal(), s.universe(), credentials.ExternalAccount)
	if fault != "" {
		return found{}, sdk.Errorf(sdk.Unauthenticated, "the credential configuration %s", fault)
	}
	c, err := externalaccount.NewCredentials(&externalaccount.Options{
		Audience: f.Audience, SubjectTokenType: f.SubjectTokenType, TokenURL: f.tokenURL(),
		ServiceAccountImpersonationURL: f.ImpersonationURL, ServiceAccountImpersonationLifetimeSeconds: f.Lifetime.Seconds,
		ClientID: f.ClientID, ClientSecret: f.ClientSecret, WorkforcePoolUserProject: f.UserProject,
		Scopes: []string{scope}, SubjectTokenProvider: subject(a.SubjectToken),
		Client: client, UniverseDomain: s.UniverseDomain, Logger: quiet(),
	})
	if err != nil {
		return found{}, err
	}
	return found{TokenProvider: c, who: f.who(), quota: f.QuotaProject}, nil
}

// impersonate makes the login of the last service account of the chain. The login before it must have the role of a token
// creator on the first, and each of the chain on the next.
// https://cloud.google.com/iam/docs/service-account-impersonation
func (s *Settings) impersonate(by found, client *http.Client) (found, error) {
	last := len(s.Impersonate) - 1
	c, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: s.Impersonate[last], Delegates: s.Impersonate[:last], Scopes: []string{scope},
		Credentials: auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: by, UniverseDomainProvider: auth.CredentialsPropertyFunc(
			func(context.Context) (string, error) { return s.universe(), nil })}),
		Client: &http.Client{Transport: bearer{by, client}}, UniverseDomain: s.UniverseDomain, Logger: quiet(),
	})
	if err != nil {
		return found{}, err
	}
	return found{TokenProvider: c, who: s.Impersonate[last], quota: by.quota}, nil
}

// quiet hears nothing of what Google's packages would log: they log tokens, if the environment asks for it.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// fixed is a token that was made elsewhere.
type fixed sdk.Sensitive

func (f fixed) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(sdk.Sensitive(f).Reveal())}, nil // it leaves us with a call
}

// subject is the token of another issuer.
type subject sdk.Sensitive

func (s subject) SubjectToken(context.Context, *externalaccount.RequestOptions) (string, error) {
	return string(sdk.Sensitive(s).Reveal()), nil // it leaves us with the exchange
}

// bearer sends requests with the token of another login.
type bearer struct {
	by     auth.TokenProvider
	client *http.Client
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	t, err := b.by.Token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+t.Value)
	return b.client.Do(r)
}

// machine is the metadata server.
// https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
type machine struct {
	host   string
	client *http.Client
}

func (m machine) Token(ctx context.Context) (*auth.Token, error) {
	body, err := m.get(ctx, "token?scopes="+url.QueryEscape(scope))
	if err != nil {
		return nil, err
	}
	var t struct {
		Token string `json:"access_token"`
		Left  int    `json:"expires_in"` // seconds
	}
	if json.Unmarshal(body, &t) != nil || t.Token == "" || t.Left <= 0 {
		return nil, sdk.Errorf(sdk.Internal, "the metadata server %s gave no token", m.host)
	}
	return &auth.Token{Value: t.Token, Expiry: time.Now().Add(time.Duration(t.Left) * time.Second)}, nil
}

// email names the machine's service account, if the server tells.
func (m machine) email(ctx context.Context) string {
	body, err := m.get(ctx, "email")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

func (m machine) get(ctx context.Context, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.host+"/computeMetadata/v1/instance/service-accounts/default/"+what, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New(resp.Status)
	case resp.Header.Get("Metadata-Flavor") != "Google":
		return nil, sdk.Errorf(sdk.Unauthenticated, "what answers at %s is not the metadata server", m.host)
	}
	return body, nil
}
