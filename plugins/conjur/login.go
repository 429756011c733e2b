package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// tokenLife is how long a token lives that does not say so.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_authenticate.htm
const tokenLife = 8 * time.Minute

// authn logs in with what the settings say.
type authn struct {
	settings Settings
	http     *http.Client
	env      sdk.Env
}

// proof is what an authenticator gets.
type proof struct {
	authenticator string // "authn-jwt"
	service       string // empty: it has none
	login         string // in the path; empty: the body tells
	body          sdk.Sensitive
	kind          string // content type of the body
}

// login exchanges the proof for a token. Conjur says 401 to all that it does not accept, an unknown account and service
// included, and 403 where the login may not use the authenticator.
func (a *authn) login(ctx context.Context) (session.Grant[sdk.Sensitive], error) {
	p, err := a.proof(ctx)
	if err != nil {
		return session.Grant[sdk.Sensitive]{}, err
	}
	c := call{op: "login", object: p.authenticator, quiet: true, needs: "authenticate on webservice conjur/" + strings.TrimSuffix(p.authenticator+"/"+p.service, "/"),
		build: func() (*http.Request, error) { return a.request(p) }}
	if p.login != "" {
		c.object = p.login
	}
	body, err := send(ctx, a.http, c, sdk.Sensitive{})
	switch sdk.CodeOf(err) {
	case sdk.OK:
		return grant(body)
	case sdk.PermissionDenied, sdk.NotFound, sdk.InvalidArgument, sdk.FailedPrecondition:
		return session.Grant[sdk.Sensitive]{}, sdk.Errorf(sdk.Unauthenticated, "%w", err)
	}
	return session.Grant[sdk.Sensitive]{}, err
}

// request is POST /AUTHENTICATOR[/SERVICE]/ACCOUNT[/LOGIN]/authenticate, with the slashes of an id escaped.
func (a *authn) request(p proof) (*http.Request, error) {
	path := []string{a.settings.base(), p.authenticator}
	for _, part := range []string{p.service, a.settings.Account, p.login} {
		if part != "" {
			path = append(path, url.PathEscape(part))
		}
	}
	u, err := url.Parse(strings.Join(path, "/") + "/authenticate")
	if err != nil {
		return nil, err
	}
	r := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{}, Body: http.NoBody}
	if !p.body.IsZero() {
		setBody(r, p.body.Reveal(), p.kind)
	}
	return r, nil
}

// proof gathers what the login shows. Files are read anew each time: they are renewed while we run.
func (a *authn) proof(ctx context.Context) (proof, error) {
	login, auth := a.settings.Login, &a.settings.Auth
	switch {
	case auth.APIKey != nil:
		return proof{authenticator: "authn", login: login, body: auth.APIKey.Key, kind: "text/plain"}, nil
	case auth.LDAP != nil:
		return proof{authenticator: "authn-ldap", service: auth.LDAP.ServiceID, login: login, body: auth.LDAP.Password, kind: "text/plain"}, nil
	case auth.Cert != nil:
		return proof{authenticator: "authn-cert", service: auth.Cert.ServiceID, login: hostLogin(login)}, nil
	case auth.JWT != nil:
		token, err := auth.JWT.read()
		return proof{authenticator: "authn-jwt", service: auth.JWT.ServiceID, login: hostLogin(login), body: token, kind: form}, err
	case auth.none(): // the certificate of the connection is all
		return proof{authenticator: "authn", login: login}, nil
	}
	return a.cloudProof(ctx)
}

// form is the content type of a token in a field "jwt".
const form = "application/x-www-form-urlencoded"

// hostLogin is for authenticators that know only hosts.
func hostLogin(login string) string {
	if login == "" || strings.HasPrefix(login, hostPrefix) {
		return login
	}
	return hostPrefix + login
}

// read gives the body that carries the token.
func (j *JWT) read() (sdk.Sensitive, error) {
	token := j.Token.Reveal()
	if j.TokenFile != "" {
		b, err := os.ReadFile(j.TokenFile)
		if err != nil {
			return sdk.Sensitive{}, sdk.Errorf(sdk.Unauthenticated, "login: the token file cannot be read: %w", err)
		}
		if token = []byte(strings.TrimSpace(string(b))); len(token) == 0 || !printable(token) {
			return sdk.Sensitive{}, sdk.Errorf(sdk.Unauthenticated, "login: the file %q holds no token", j.TokenFile)
		}
	}
	return jwtForm(token), nil
}

func jwtForm(token []byte) sdk.Sensitive {
	return sdk.SensitiveString(url.Values{"jwt": {string(token)}}.Encode())
}

// grant reads a token and its term, by the server's own clock. What is sent later is the whole answer in base64.
func grant(body []byte) (session.Grant[sdk.Sensitive], error) {
	var token struct{ Protected, Payload, Signature string }
	if json.Unmarshal(body, &token) != nil || token.Protected == "" || token.Payload == "" || token.Signature == "" {
		return session.Grant[sdk.Sensitive]{}, sdk.Errorf(sdk.Internal, "login: the answer holds no token")
	}
	g := session.Grant[sdk.Sensitive]{Token: sdk.SensitiveString(base64.StdEncoding.EncodeToString(body)), TTL: tokenLife}
	var claims struct{ Iat, Exp int64 }
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(token.Payload), "="))
	if err == nil && json.Unmarshal(payload, &claims) == nil && claims.Iat > 0 && claims.Exp > claims.Iat {
		g.TTL = time.Duration(claims.Exp-claims.Iat) * time.Second
	}
	return g, nil
}
