package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/sdk"
)

// method is one way to come by a token: as it was made elsewhere, or by credentials that an auth method exchanges.
type method struct {
	token       func() (string, error) // nil: by credentials
	path        string                 // where these go
	credentials credentials
	again       bool // another login may give another token
}

// credentials gives the body of a login. The client has no token and is in the namespace of the login.
type credentials func(context.Context, *api.Client) (map[string]string, error)

// method says how to log in. Credentials in files are read at each login.
func (a *Auth) method(env sdk.Env) method {
	name, mount := a.choice()
	switch name {
	case "token":
		return method{token: func() (string, error) { return string(a.Token.Token.Reveal()), nil }}
	case "token_file":
		return method{token: func() (string, error) { return readFile(a.TokenFile.Path) }, again: true}
	}
	m := method{path: "auth/" + trim(*mount) + "/login", again: true}
	switch {
	case a.AppRole != nil:
		m.credentials = a.AppRole.credentials()
	case a.Cert != nil:
		m.credentials = constant(map[string]string{"name": a.Cert.Role})
	case a.Kubernetes != nil:
		m.credentials = bearer(a.Kubernetes.Role, a.Kubernetes.Token, cmp.Or(a.Kubernetes.TokenFile, serviceAccount))
	case a.JWT != nil:
		m.credentials = bearer(a.JWT.Role, a.JWT.Token, a.JWT.TokenFile)
	case a.Userpass != nil:
		m.path += "/" + a.Userpass.Username
		m.credentials = constant(map[string]string{"password": string(a.Userpass.Password.Reveal())})
	case a.LDAP != nil:
		m.path += "/" + a.LDAP.Username
		m.credentials = constant(map[string]string{"password": string(a.LDAP.Password.Reveal())})
	case a.AWS != nil:
		m.credentials = a.AWS.credentials(env)
	case a.GCP != nil:
		m.credentials = a.GCP.credentials(env.HTTPClient)
	case a.Azure != nil:
		m.credentials = a.Azure.credentials(env.HTTPClient)
	}
	return m
}

func constant(body map[string]string) credentials {
	return func(context.Context, *api.Client) (map[string]string, error) { return body, nil }
}

// bearer logs in with a signed token, of the settings or else of a file.
func bearer(role string, jwt sdk.Sensitive, file string) credentials {
	return func(context.Context, *api.Client) (map[string]string, error) {
		if !jwt.IsZero() {
			return map[string]string{"role": role, "jwt": strings.TrimSpace(string(jwt.Reveal()))}, nil
		}
		text, err := readFile(file)
		return map[string]string{"role": role, "jwt": text}, err
	}
}

// credentials unwraps a wrapped secret id once: the wrapping token ends with it, and later logins use what was inside.
// https://developer.hashicorp.com/vault/docs/concepts/response-wrapping
func (r *AppRole) credentials() credentials {
	secretID := r.SecretID
	wrapped := r.Wrapped
	return func(ctx context.Context, client *api.Client) (map[string]string, error) {
		if wrapped {
			id, err := unwrap(ctx, client, secretID)
			if err != nil {
				return nil, err
			}
			secretID, wrapped = id, false
		}
		return map[string]string{"role_id": r.RoleID, "secret_id": string(secretID.Reveal())}, nil
	}
}

func unwrap(ctx context.Context, client *api.Client, wrapping sdk.Sensitive) (sdk.Sensitive, error) {
	client = client.WithNamespace(client.Namespace())
	client.SetToken(string(wrapping.Reveal()))
	a, err := send(ctx, client, call{op: "unwrap", object: "secret id", method: http.MethodPut, path: "sys/wrapping/unwrap", body: struct{}{}, hides: []string{client.Token()}})
	if c := sdk.CodeOf(err); c == sdk.InvalidArgument || isForbidden(err) {
		return sdk.Sensitive{}, sdk.Errorf(sdk.Unauthenticated, "unwrap secret id: its wrapping token has ended or somebody has used it; make a new one: %w", err)
	}
	if err != nil {
		return sdk.Sensitive{}, err
	}
	var inside struct {
		SecretID string `json:"secret_id"`
	}
	if json.Unmarshal(a.Data, &inside) != nil || inside.SecretID == "" {
		return sdk.Sensitive{}, sdk.Errorf(sdk.Unauthenticated, "unwrap secret id: the response wraps something else")
	}
	return sdk.SensitiveString(inside.SecretID), nil
}
