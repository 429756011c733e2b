package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/sdk"
)

// proofLife is how long a signed login holds; the auth method takes 15 minutes at most.
// https://developer.hashicorp.com/vault/docs/auth/gcp#iam-login
const proofLife = 10 * time.Minute

// credentials proves who we are with a signed token whose audience is the role.
func (g *GCP) credentials(client *http.Client) credentials {
	proof := g.instance
	switch {
	case !g.Key.IsZero():
		proof = func(context.Context, *http.Client) (string, error) { return g.sign() }
	case g.ServiceAccount != "":
		proof = g.signRemotely
	}
	return func(ctx context.Context, _ *api.Client) (map[string]string, error) {
		jwt, err := proof(ctx, client)
		if err == nil && jwt == "" {
			err = sdk.Errorf(sdk.Unauthenticated, "login: Google answered no token")
		}
		return map[string]string{"role": g.Role, "jwt": jwt}, err
	}
}

// claims are those of a login of type iam.
func (g *GCP) claims(email string) ([]byte, error) {
	return json.Marshal(map[string]any{"sub": email, "aud": "vault/" + g.Role, "exp": time.Now().Add(proofLife).Unix()})
}

// instance asks for the identity token of the instance, for a role of type gce.
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
func (g *GCP) instance(ctx context.Context, client *http.Client) (string, error) {
	token, err := g.metadata(ctx, client, "identity", url.Values{"audience": {"http://vault/" + g.Role}, "format": {"full"}})
	return string(token), err
}

// signRemotely has Google sign with a key of its own, as the instance's service account may ask.
// https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt
func (g *GCP) signRemotely(ctx context.Context, client *http.Client) (string, error) {
	raw, err := g.metadata(ctx, client, "token", nil)
	if err != nil {
		return "", err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(raw, &token) != nil || token.AccessToken == "" {
		return "", sdk.Errorf(sdk.Unauthenticated, "login: the instance's metadata holds no access token")
	}
	claims, err := g.claims(g.ServiceAccount)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]string{"payload": string(claims)})
	if err != nil {
		return "", err
	}
	address := strings.TrimSuffix(g.IAMEndpoint, "/") + "/v1/projects/-/serviceAccounts/" + url.PathEscape(g.ServiceAccount) + ":signJwt"
	r, err := newRequest(ctx, http.MethodPost, address, nil, string(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	r.Header.Set("Content-Type", "application/json")
	var signed struct {
		JWT string `json:"signedJwt"`
	}
	err = askJSON(client, r, "sign as "+g.ServiceAccount+", which needs iam.serviceAccounts.signJwt", &signed)
	return signed.JWT, err
}

func (g *GCP) metadata(ctx context.Context, client *http.Client, what string, query url.Values) ([]byte, error) {
	address := strings.TrimSuffix(g.MetadataEndpoint, "/") + "/computeMetadata/v1/instance/service-accounts/default/" + what
	r, err := newRequest(ctx, http.MethodGet, address, query, "")
	if err != nil {
		return nil, err
	}
	r.Header.Set("Metadata-Flavor", "Google")
	return ask(client, r, "the instance's "+what)
}

// sign makes the token with the key of a service account. Vault gets the certificate for it from Google.
func (g *GCP) sign() (string, error) {
	key, err := parseKey(g.Key)
	if err != nil {
		return "", sdk.Errorf(sdk.Unauthenticated, "login: auth.gcp.key is not the key file of a service account")
	}
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": key.id})
	if err != nil {
		return "", err
	}
	claims, err := g.claims(key.email)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.private, crypto.SHA256, sum[:])
	if err != nil {
		return "", sdk.Errorf(sdk.Internal, "login: the service account's key does not sign: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// serviceKey is what a key file holds.
type serviceKey struct {
	id, email string
	private   *rsa.PrivateKey
}

var errKey = errors.New("not the key file of a service account")

func parseKey(raw sdk.Sensitive) (serviceKey, error) {
	var file struct {
		ID    string `json:"private_key_id"`
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal(raw.Reveal(), &file) != nil || file.ID == "" || file.Email == "" {
		return serviceKey{}, errKey
	}
	block, _ := pem.Decode([]byte(file.Key))
	if block == nil {
		return serviceKey{}, errKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return serviceKey{}, errKey
	}
	return serviceKey{id: file.ID, email: file.Email, private: private}, nil
}
