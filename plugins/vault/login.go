package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// token is one login, with a client for each of the two namespaces.
type token struct {
	secrets *api.Client // with the token, in the namespace of the secrets
	self    *api.Client // with the token, in the namespace of the login
	ours    bool        // made by our login, and revoked when we are done with it
}

func (t token) clientFor(r call) *api.Client {
	if r.login {
		return t.self
	}
	return t.secrets
}

// account is how a store logs in. The session calls it for one caller at a time.
type account struct {
	base           *api.Client // without token
	secrets, login string      // namespaces
	method         method
	logger         *slog.Logger
	namespaces     bool // the server is known to have them, or we need none
}

func (a *account) source() session.Source[token] {
	return session.Source[token]{
		Login: a.logIn, Once: a.method.token != nil && !a.method.again, Renew: a.renew, Logger: a.logger,
		Verify: func(ctx context.Context, t token) error { _, err := lookUp(ctx, t.self); return err },
		Same:   func(x, y token) bool { return x.self.Token() == y.self.Token() },
	}
}

// logIn gets a token from the auth method, or adopts one that was made elsewhere.
func (a *account) logIn(ctx context.Context) (session.Grant[token], error) {
	if err := a.checkNamespaces(ctx); err != nil {
		return session.Grant[token]{}, err
	}
	if a.method.token != nil {
		text, err := a.method.token()
		if err != nil {
			return session.Grant[token]{}, err
		}
		return a.adopt(ctx, text)
	}
	return a.exchange(ctx)
}

// exchange sends credentials to the mount of an auth method. Vault says 400 to a wrong secret id, 403 to a wrong
// certificate, and 403 or 404 to a mount that is missing: all of them mean that we have no login.
func (a *account) exchange(ctx context.Context) (session.Grant[token], error) {
	client := a.base.WithNamespace(a.login)
	body, err := a.method.credentials(ctx, client)
	if err != nil {
		return session.Grant[token]{}, err
	}
	r, err := send(ctx, client, call{op: "login", object: a.method.path, method: http.MethodPut, path: a.method.path, body: body, hides: secrets(body)})
	switch c := sdk.CodeOf(err); {
	case c == sdk.InvalidArgument, c == sdk.NotFound, c == sdk.FailedPrecondition, isForbidden(err):
		return session.Grant[token]{}, sdk.Errorf(sdk.Unauthenticated, "%w", err)
	case err != nil:
		return session.Grant[token]{}, err
	}
	if r.Auth == nil || !printable([]byte(r.Auth.ClientToken)) || r.Auth.ClientToken == "" {
		return session.Grant[token]{}, sdk.Errorf(sdk.Internal, "login %q: the answer holds no token", a.method.path)
	}
	return r.grant(a.tokenOf(r.Auth.ClientToken, true)), nil
}

// secrets gives what must not be told of the body of a login, a signed token in its parts.
func secrets(body map[string]string) []string {
	hidden := []string{}
	for k, v := range body {
		if k != "role" && k != "role_id" && k != "name" {
			hidden = append(hidden, strings.Split(v, ".")...)
		}
	}
	return slices.DeleteFunc(hidden, func(s string) bool { return s == "" })
}

func (a *account) tokenOf(text string, ours bool) token {
	t := token{secrets: a.base.WithNamespace(a.secrets), self: a.base.WithNamespace(a.login), ours: ours}
	t.secrets.SetToken(text)
	t.self.SetToken(text)
	return t
}

func (a answer) grant(t token) session.Grant[token] {
	return session.Grant[token]{Token: t, TTL: time.Duration(a.Auth.LeaseDuration) * time.Second, Renewable: a.Auth.Renewable}
}

// adopt takes a token that was made elsewhere and learns its term. A token that may not look itself up, which its policies
// decide, is used as it is.
func (a *account) adopt(ctx context.Context, text string) (session.Grant[token], error) {
	t := a.tokenOf(text, false)
	info, err := lookUp(ctx, t.self)
	if err != nil && !isForbidden(err) {
		return session.Grant[token]{}, err
	}
	return session.Grant[token]{Token: t, TTL: time.Duration(info.TTL) * time.Second, Renewable: info.Renewable}, nil
}

// renew lengthens the term of a token.
func (a *account) renew(ctx context.Context, t token) (session.Grant[token], error) {
	r, err := send(ctx, t.self, call{op: "renew", object: "token", method: http.MethodPut, path: "auth/token/renew-self", body: struct{}{}})
	if err == nil && r.Auth == nil {
		err = sdk.Errorf(sdk.Internal, "renew token: the answer holds no term")
	}
	if err != nil {
		return session.Grant[token]{}, err
	}
	return r.grant(t), nil
}

// revoke ends a token if it was made for us: leases that nobody uses burden the server until they end.
func (a *account) revoke(ctx context.Context, t token) {
	if !t.ours {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := send(ctx, t.self, call{op: "close", object: "token", method: http.MethodPut, path: "auth/token/revoke-self", body: struct{}{}}); err != nil {
		a.logger.DebugContext(ctx, "token not revoked", "code", sdk.CodeOf(err).String())
	}
}

// checkNamespaces refuses a server that would ignore the header with our namespace and answer from the top one, as
// HashiCorp's community edition does. A server that does not say what it is is taken for one that knows them.
// https://developer.hashicorp.com/vault/api-docs/system/health
func (a *account) checkNamespaces(ctx context.Context) error {
	if a.namespaces {
		return nil
	}
	h, err := send(ctx, a.base.WithNamespace(""), health)
	switch sdk.CodeOf(err) {
	case sdk.Unavailable, sdk.DeadlineExceeded, sdk.Canceled:
		return err
	}
	// OpenBao does not tell an edition, and its versions begin at 2; Vault tells it since 1.17.
	community := h.Enterprise != nil && !*h.Enterprise || h.Enterprise == nil && strings.HasPrefix(h.Version, "1.") && !strings.Contains(h.Version, "+ent")
	if community {
		return sdk.Errorf(sdk.FailedPrecondition, "login: Vault %s has no namespaces and would answer from the top one; unset namespace", h.Version)
	}
	a.namespaces = true
	return nil
}

// health asks what the server is, for which it wants no token.
var health = call{op: "check", object: "server", method: http.MethodGet, path: "sys/health", query: url.Values{"standbyok": {"true"}, "perfstandbyok": {"true"}}}

// tokenInfo is what Vault tells a token about itself.
type tokenInfo struct {
	DisplayName string `json:"display_name"`
	TTL         int64  `json:"ttl"` // seconds left; 0: for ever
	Renewable   bool   `json:"renewable"`
}

// lookUpSelf asks Vault about the token itself, which the policy "default" allows.
var lookUpSelf = call{op: "look up", object: "token", method: http.MethodGet, path: "auth/token/lookup-self", login: true}

func lookUp(ctx context.Context, self *api.Client) (tokenInfo, error) {
	a, err := send(ctx, self, lookUpSelf)
	if err != nil {
		return tokenInfo{}, err
	}
	return a.token()
}

func (a answer) token() (tokenInfo, error) {
	var t tokenInfo
	if json.Unmarshal(a.Data, &t) != nil {
		return tokenInfo{}, sdk.Errorf(sdk.Internal, "look up token: the answer is not Vault's")
	}
	return t, nil
}

// readFile gives the text of a file that holds credentials, without the line break at its end.
func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", sdk.Errorf(sdk.Unauthenticated, "login: the file with the token cannot be read: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" || !printable([]byte(text)) {
		return "", sdk.Errorf(sdk.Unauthenticated, "login: the file %q holds no token", path)
	}
	return text, nil
}
