package azurekv

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tokenTTL is how long a token is good.
const tokenTTL = time.Hour

// logins is who may log in, and whose tokens are good.
type logins struct {
	secrets      map[string]bool // client secrets
	assertions   map[string]bool // tokens of another issuer
	certificates []*x509.Certificate
	good         map[string]bool // tokens
	made         int
}

func newLogins() logins {
	return logins{secrets: map[string]bool{Secret: true}, assertions: map[string]bool{}, good: map[string]bool{}}
}

// refuse gives the reason why a token is not good; empty: it is.
func (l *logins) refuse(token string) string {
	switch {
	case token == "":
		return "AKV10000: Request is missing a Bearer or PoP token."
	case !l.good[token]:
		return "AKV10022: Invalid audience, expired or unknown token."
	}
	return ""
}

// Logins is how many tokens were given out.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.made
}

// RevokeTokens makes the vault refuse every token that was given out.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.login.good)
}

// TrustSecret makes this the only client secret.
func (s *Server) TrustSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.secrets = map[string]bool{secret: true}
}

// TrustAssertion lets the application log in with this token of another issuer, and no other.
func (s *Server) TrustAssertion(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.assertions = map[string]bool{token: true}
}

// TrustCertificate lets the application log in with this certificate, and no other.
func (s *Server) TrustCertificate(c *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.certificates = []*x509.Certificate{c}
}

// discovery vouches for the public authority. https://learn.microsoft.com/entra/msal/
func discovery(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": "https://" + r.Host + "/" + Tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{"preferred_network": r.Host, "preferred_cache": r.Host,
			"aliases": []string{r.Host}}},
	})
}

func openID(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + r.PathValue("tenant")
	answer(w, http.StatusOK, map[string]any{"issuer": base + "/v2.0", "token_endpoint": base + "/oauth2/v2.0/token",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize"})
}

// token is Entra ID's client credentials grant.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		refuseLogin(w, http.StatusBadRequest, "invalid_request", "AADSTS900144", "the body is no form")
		return
	}
	switch f := r.PostForm; {
	case r.PathValue("tenant") != Tenant:
		refuseLogin(w, http.StatusBadRequest, "invalid_request", "AADSTS90002", "Tenant not found.")
	case f.Get("client_id") != ClientID:
		refuseLogin(w, http.StatusBadRequest, "unauthorized_client", "AADSTS700016", "Application was not found in the directory.")
	case !strings.Contains(f.Get("scope"), Resource+"/.default"):
		refuseLogin(w, http.StatusBadRequest, "invalid_resource", "AADSTS500011", "The resource principal was not found in the tenant.")
	case f.Get("client_assertion") != "" && !s.login.trusts(f.Get("client_assertion")):
		refuseLogin(w, http.StatusUnauthorized, "invalid_client", "AADSTS700027", "Client assertion contains an invalid signature.")
	case f.Get("client_assertion") == "" && !s.login.secrets[f.Get("client_secret")]:
		refuseLogin(w, http.StatusUnauthorized, "invalid_client", "AADSTS7000215", "Invalid client secret provided.")
	default:
		answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": int(tokenTTL / time.Second), "ext_expires_in": int(tokenTTL / time.Second),
			"access_token": s.login.grant(map[string]any{"appid": ClientID})})
	}
}

// metadata is the instance metadata service's.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	claims := map[string]any{"xms_mirid": "/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/gateway"}
	switch {
	case r.Header.Get("Metadata") != "true":
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "Required metadata header not specified"})
	case q.Get("resource") != Resource:
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_resource", "error_description": "unknown resource"})
	case q.Get("client_id") != "" && q.Get("client_id") != ClientID, q.Get("object_id") != "" && q.Get("object_id") != ObjectID:
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": "Identity not found"})
	default:
		answer(w, http.StatusOK, map[string]any{"access_token": s.login.grant(claims), "expires_in": strconv.Itoa(int(tokenTTL / time.Second)),
			"expires_on": strconv.FormatInt(time.Now().Add(tokenTTL).Unix(), 10), "resource": Resource, "token_type": "Bearer"})
	}
}

func refuseLogin(w http.ResponseWriter, status int, code, number, words string) {
	answer(w, status, map[string]any{"error": code, "error_description": number + ": " + words, "error_codes": []any{}, "trace_id": "fake-trace"})
}

// grant makes a token. Its form is that of Entra ID's; nobody but the vault judges it, which knows those it gave out.
func (l *logins) grant(claims map[string]any) string {
	l.made++
	claims["oid"], claims["tid"], claims["aud"], claims["jti"] = ObjectID, Tenant, Resource, l.made
	raw, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("claims: %v", err))
	}
	enc := base64.RawURLEncoding.EncodeToString
	token := enc([]byte(`{"alg":"none"}`)) + "." + enc(raw) + "." + enc([]byte("fake"))
	l.good[token] = true
	return token
}

// trusts reports whether an assertion is a known one, or signed with the key of a known certificate.
func (l *logins) trusts(assertion string) bool {
	if l.assertions[assertion] {
		return true
	}
	signed, signature, ok := cutLast(assertion)
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if !ok || err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(signed))
	for _, c := range l.certificates {
		key, isRSA := c.PublicKey.(*rsa.PublicKey)
		if isRSA && (rsa.VerifyPSS(key, crypto.SHA256, sum[:], raw, nil) == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw) == nil) {
			return true
		}
	}
	return false
}

func cutLast(token string) (before, after string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return "", "", false
	}
	return token[:i], token[i+1:], true
}

// Token gives a good token without a login.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.grant(map[string]any{"appid": ClientID})
}
