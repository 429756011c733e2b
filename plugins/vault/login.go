package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/sdk"
)

// method is one way to come by a token.
type method struct {
	name   string
	login  func(context.Context, *session) (*lease, error)
	again  bool // another login may give another token
	grants bool // the token is made for us, and ours to revoke
}

func (a *Auth) method() method {
	switch {
	case a.AppRole != nil:
		return granting("approle", a.AppRole.Mount, func() any {
			return map[string]string{"role_id": a.AppRole.RoleID, "secret_id": string(a.AppRole.SecretID.Reveal())}
		})
	case a.Cert != nil:
		return granting("cert", a.Cert.Mount, func() any { return map[string]string{"name": a.Cert.Role} })
	case a.TokenFile != nil:
		return method{name: "token_file", again: true, login: func(ctx context.Context, s *session) (*lease, error) {
			return fromFile(ctx, s, a.TokenFile.Path)
		}}
	}
	return method{name: "token", login: func(ctx context.Context, s *session) (*lease, error) {
		return adopt(ctx, s, string(a.Token.Token.Reveal()))
	}}
}

// granting is a method whose mount answers a token to credentials. Vault says 400 to a wrong secret id, 403 to a wrong
// certificate, and 403 or 404 to a mount that is missing: all of them mean that we have no login.
func granting(name, mount string, credentials func() any) method {
	path := "auth/" + trim(mount) + "/login"
	return method{name: name, again: true, grants: true, login: func(ctx context.Context, s *session) (*lease, error) {
		a, err := send(ctx, s.base.WithNamespace(s.login), call{op: "login", object: path, method: http.MethodPut, path: path, body: credentials()})
		switch c := sdk.CodeOf(err); {
		case c == sdk.InvalidArgument, c == sdk.NotFound, c == sdk.FailedPrecondition, isForbidden(err):
			return nil, sdk.Errorf(sdk.Unauthenticated, "%w", err)
		case err != nil:
			return nil, err
		}
		if a.Auth == nil || !printable([]byte(a.Auth.ClientToken)) || a.Auth.ClientToken == "" {
			return nil, sdk.Errorf(sdk.Internal, "login %q: the answer holds no token", path)
		}
		return s.newLease(a.Auth.ClientToken, time.Duration(a.Auth.LeaseDuration)*time.Second, a.Auth.Renewable), nil
	}}
}

// fromFile adopts the token in a file.
func fromFile(ctx context.Context, s *session, path string) (*lease, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, sdk.Errorf(sdk.Unauthenticated, "login: the token file cannot be read: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || !printable([]byte(token)) {
		return nil, sdk.Errorf(sdk.Unauthenticated, "login: the file %q holds no token", path)
	}
	return adopt(ctx, s, token)
}

// adopt takes a token that was made elsewhere and learns its term. A token that may not look itself up, which its policies
// decide, is used as it is.
func adopt(ctx context.Context, s *session, token string) (*lease, error) {
	l := s.newLease(token, 0, false)
	t, err := lookUp(ctx, l.self)
	if err != nil {
		if isForbidden(err) {
			return l, nil
		}
		return nil, err
	}
	return l.term(s.now(), time.Duration(t.TTL)*time.Second, t.Renewable, s.method.again), nil
}

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
