package main

import (
	"net"
	"net/url"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"

	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM knows them.
type Settings struct {
	Address      string `json:"address" keyway:"required" env:"CYBERARK_API_BASE" doc:"Where Conjur listens; http or https, with the path before its API if there is one." example:"https://conjur.example.com"`
	Account      string `json:"account" keyway:"required" env:"CYBERARK_ACCOUNT" doc:"The account (conjur in the cloud service)." example:"myorg"`
	Login        string `json:"login" env:"CYBERARK_USERNAME" doc:"Who logs in: the name of a user, or host/ID for a host. Empty only where the token or the certificate tells." example:"host/gateway"`
	PathPrefix   string `json:"path_prefix" doc:"Path that the ids of all variables begin with; names are without it." example:"data/gateway"`
	PolicyBranch string `json:"policy_branch" doc:"Policy in which put declares new variables and delete removes them; root names the top one. Empty: put only sets variables that are declared." example:"data/gateway"`
	TLS          TLS    `json:"tls" doc:"How to trust the server, and a certificate to show it."`
	Auth         Auth   `json:"auth" keyway:"oneof" doc:"How to log in. Absent: by the client certificate alone, at the default authenticator."`
}

// TLS says whom to trust and what to show. Texts are PEM.
type TLS struct {
	CA         string        `json:"ca" doc:"Certificates to trust instead of the system's, as PEM text."`
	CAFile     string        `json:"ca_file" keyway:"operator,path" doc:"A file of them, read at each handshake."`
	Cert       string        `json:"cert" doc:"Client certificate with its chain, as PEM text."`
	Key        sdk.Sensitive `json:"key" doc:"Its private key, as PEM text."`
	CertFile   string        `json:"cert_file" keyway:"operator,path" env:"CYBERARK_CLIENT_CERT" doc:"A file with the client certificate, read at each handshake."`
	KeyFile    string        `json:"key_file" keyway:"operator,path" env:"CYBERARK_CLIENT_KEY" doc:"A file with its private key."`
	ServerName string        `json:"server_name" doc:"Name in the server's certificate, if it is not the address's."`
	Verify     bool          `json:"verify" default:"true" env:"CYBERARK_SSL_VERIFY" doc:"false: any server is taken for Conjur. Only for tests."`
}

// Auth holds one way to log in.
type Auth struct {
	APIKey *APIKey `json:"api_key" doc:"The API key of a user or host."`
	JWT    *JWT    `json:"jwt" doc:"A JSON Web Token (authn-jwt)."`
	Cert   *Cert   `json:"cert" doc:"The client certificate of the connection (authn-cert)."`
	LDAP   *LDAP   `json:"ldap" doc:"The password of a directory (authn-ldap)."`
	IAM    *IAM    `json:"iam" doc:"An identity of AWS (authn-iam)."`
	Azure  *Azure  `json:"azure" keyway:"operator" doc:"The managed identity of the Azure machine (authn-azure)."`
	GCP    *GCP    `json:"gcp" keyway:"operator" doc:"The service account of the Google Cloud machine (authn-gcp)."`
}

// APIKey logs in with a key.
type APIKey struct {
	Key sdk.Sensitive `json:"key" keyway:"required" env:"CYBERARK_API_KEY" doc:"The API key."`
}

// JWT logs in with a token that somebody else issued.
type JWT struct {
	ServiceID string        `json:"service_id" keyway:"required" doc:"Id of the authenticator's service." example:"kubernetes"`
	Token     sdk.Sensitive `json:"token" doc:"The token itself: a reference."`
	TokenFile string        `json:"token_file" keyway:"operator,path" doc:"A file with the token, read at each login." example:"/var/run/secrets/tokens/jwt"`
}

// Cert logs in with the certificate of [TLS]. Without a login the certificate's SPIFFE id tells who it is.
type Cert struct {
	ServiceID string `json:"service_id" keyway:"required" doc:"Id of the authenticator's service."`
}

// LDAP logs in with a password that Conjur has a directory check.
type LDAP struct {
	ServiceID string        `json:"service_id" keyway:"required" doc:"Id of the authenticator's service."`
	Password  sdk.Sensitive `json:"password" keyway:"required" doc:"The password."`
}

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	u, err := url.Parse(s.Address)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		fault("/address", "must be an http or https URL such as https://conjur.example.com")
		return ps
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fault("/address", "must hold neither a user, a query nor a fragment")
	case u.Scheme == "http" && s.TLS.isSet():
		fault("/tls", "has no use with an http address")
	}
	if s.Account != "" && (strings.ContainsAny(s.Account, ":/") || sdk.CheckName(s.Account) != nil) {
		fault("/account", "must be the name of an account, without colons and slashes")
	}
	for _, p := range []struct{ path, text string }{
		{"/login", s.Login}, {"/path_prefix", trim(s.PathPrefix)}, {"/policy_branch", trim(s.PolicyBranch)},
	} {
		if p.text != "" && sdk.CheckName(p.text) != nil {
			fault(p.path, `must be an id without control characters and without empty, "." or ".." segments`)
		}
	}
	return append(append(ps, s.TLS.validate()...), s.validateAuth(u.Scheme == "https")...)
}

// Capabilities: what is declared by policy is declared and removed where the settings name a branch.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	can := methods | sdk.CanGetVersion | sdk.CanPutLabels | sdk.CanPurge
	if trim(s.PolicyBranch) == "" {
		can &^= sdk.CanPutLabels | sdk.CanPurge | sdk.CanDelete
	}
	return can
}

// Reach is the server, what the login asks for its proof, and the files that logins and handshakes read.
func (s *Settings) Reach() sdk.Reach {
	r := s.Auth.reach()
	r.Endpoints = append([]string{endpoint(s.Address)}, r.Endpoints...)
	for _, f := range []string{s.TLS.CAFile, s.TLS.CertFile, s.TLS.KeyFile} {
		if f != "" {
			r.Files = append(r.Files, f)
		}
	}
	return r
}

// endpoint gives the "host:port" of a URL that Validate has seen.
func endpoint(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// base is the address without a slash at its end. The cloud service has its API below /api.
// https://docs.cyberark.com/secrets-manager-saas/latest/en/content/developer/lp_rest_api.htm
func (s *Settings) base() string {
	base := strings.TrimRight(s.Address, "/")
	u, err := url.Parse(base)
	if err == nil && u.Path == "" && conjurapi.ConjurCloudRegexp.MatchString(strings.ToLower(u.Hostname())) {
		return base + "/api"
	}
	return base
}

// trim takes spaces and slashes off the ends of a path.
func trim(path string) string { return strings.Trim(path, " /") }
