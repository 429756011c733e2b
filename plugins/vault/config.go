package main

import (
	"cmp"
	"net"
	"net/url"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM knows them.
type Settings struct {
	Address         string `json:"address" keyway:"required" env:"HCP_VAULT_ADDR" doc:"Where Vault or OpenBao listens; http or https." example:"https://vault.example.com:8200"`
	Namespace       string `json:"namespace" env:"HCP_VAULT_NAMESPACE" doc:"Namespace of the login and of the secrets; root names the top one." example:"teams/a"`
	LoginNamespace  string `json:"login_namespace" env:"HCP_VAULT_LOGIN_NAMESPACE" doc:"Namespace of the login, or in which the token was made, where it is another one."`
	SecretNamespace string `json:"secret_namespace" env:"HCP_VAULT_SECRET_NAMESPACE" doc:"Namespace of the secrets and of transit, where it is another one."`
	Mount           string `json:"mount" default:"secret" env:"HCP_VAULT_MOUNT_NAME" doc:"Mount of the key-value engine. Empty: a store that only encrypts."`
	KV              int    `json:"kv_version" default:"2" enum:"1,2" doc:"Version of the key-value engine."`
	PathPrefix      string `json:"path_prefix" env:"HCP_VAULT_PATH_PREFIX" doc:"Folder under the mount that all names are in." example:"gateway/prod"`
	Field           string `json:"field" doc:"Values are this field of each document, its siblings stay. Empty: values are whole documents, JSON objects." example:"key"`
	Transit         string `json:"transit" doc:"Mount of the transit engine, for encrypt and decrypt." example:"transit"`
	TransitKey      string `json:"transit_key" doc:"Key of the transit engine where a call names none."`
	TLS             TLS    `json:"tls" doc:"How to trust the server, and a certificate to show it."`
	Auth            Auth   `json:"auth" keyway:"required,oneof" doc:"How to log in."`
}

// TLS says whom to trust and what to show. Texts are PEM.
type TLS struct {
	CA         string        `json:"ca" doc:"Certificates to trust instead of the system's, as PEM text."`
	CAFile     string        `json:"ca_file" keyway:"operator,path" doc:"A file of them, read at each handshake."`
	Cert       string        `json:"cert" doc:"Client certificate with its chain, as PEM text."`
	Key        sdk.Sensitive `json:"key" doc:"Its private key, as PEM text."`
	ServerName string        `json:"server_name" doc:"Name in the server's certificate, if it is not the address's."`
}

// Auth holds one way to log in. They are in the order in which LiteLLM prefers them when several are configured.
type Auth struct {
	AppRole   *AppRole   `json:"approle" doc:"Role id and secret id."`
	Cert      *Cert      `json:"cert" doc:"The client certificate of the connection."`
	Token     *Token     `json:"token" doc:"A token as it is, renewed while in use if it can be."`
	TokenFile *TokenFile `json:"token_file" doc:"A token in a file, such as an agent's sink."`
}

// AppRole logs in with a role.
type AppRole struct {
	Mount    string        `json:"mount" default:"approle" env:"HCP_VAULT_APPROLE_MOUNT_PATH" doc:"Mount of the auth method."`
	RoleID   string        `json:"role_id" keyway:"required" env:"HCP_VAULT_APPROLE_ROLE_ID" doc:"The role's id."`
	SecretID sdk.Sensitive `json:"secret_id" keyway:"required" env:"HCP_VAULT_APPROLE_SECRET_ID" doc:"The secret id."`
}

// Cert logs in with the certificate of its files, read at each connection, or of [TLS].
type Cert struct {
	Mount    string `json:"mount" default:"cert" doc:"Mount of the auth method."`
	Role     string `json:"role" env:"HCP_VAULT_CERT_ROLE" doc:"Role to ask for; empty: any that fits."`
	CertFile string `json:"cert_file" keyway:"operator,path" env:"HCP_VAULT_CLIENT_CERT" doc:"File of the certificate, PEM; empty: tls.cert and tls.key."`
	KeyFile  string `json:"key_file" keyway:"operator,path" env:"HCP_VAULT_CLIENT_KEY" doc:"File of its private key, PEM."`
}

// Token is a login that was made elsewhere.
type Token struct {
	Token sdk.Sensitive `json:"token" keyway:"required" env:"HCP_VAULT_TOKEN" doc:"The token."`
}

// TokenFile is a login that somebody else keeps fresh.
type TokenFile struct {
	Path string `json:"path" keyway:"required,operator,path" doc:"The file, read at each login." example:"/run/vault/token"`
}

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	u, err := url.Parse(s.Address)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		fault("/address", "must be an http or https URL such as https://vault.example.com:8200")
		return ps
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		fault("/address", "must hold neither a user, a query nor a fragment")
	case u.Scheme == "http" && s.TLS.isSet():
		fault("/tls", "has no use with an http address")
	}
	for _, p := range []struct{ path, text string }{
		{"/namespace", s.Namespace}, {"/login_namespace", s.LoginNamespace}, {"/secret_namespace", s.SecretNamespace},
		{"/mount", s.Mount}, {"/path_prefix", s.PathPrefix}, {"/transit", s.Transit},
	} {
		if t := trim(p.text); t != "" && sdk.CheckName(t) != nil {
			fault(p.path, `must be a path without control characters and without empty, "." or ".." segments`)
		}
	}
	if trim(s.Mount) == "" && trim(s.Transit) == "" {
		fault("/mount", "is empty and so is transit; a store needs one of them")
	}
	if s.TransitKey != "" && !keyForm.MatchString(s.TransitKey) {
		fault("/transit_key", "is not the name of a transit key")
	}
	return append(append(ps, s.TLS.validate(s.Auth.Cert)...), s.Auth.validate()...)
}

func (a *Auth) validate() []sdk.Problem {
	if t := a.Token; t != nil && !printable(t.Token.Reveal()) {
		return []sdk.Problem{{Path: "/auth/token/token", Message: "holds spaces or characters that no token has"}}
	}
	if a.AppRole != nil && sdk.CheckName(trim(a.AppRole.Mount)) != nil {
		return []sdk.Problem{{Path: "/auth/approle/mount", Message: "must be the path of an auth method"}}
	}
	if a.Cert != nil && sdk.CheckName(trim(a.Cert.Mount)) != nil {
		return []sdk.Problem{{Path: "/auth/cert/mount", Message: "must be the path of an auth method"}}
	}
	return nil
}

// printable reports whether b can be sent as a header.
func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// Capabilities: KV v1 has no versions and cannot compare, so one of its fields could not be written without a chance to
// lose a sibling; such a store only reads.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	const crypt = sdk.CanEncrypt | sdk.CanDecrypt
	can := methods &^ crypt
	switch {
	case trim(s.Mount) == "":
		can = 0
	case s.KV == 2:
		can |= sdk.CanGetVersion | sdk.CanPutIfAbsent | sdk.CanPutIfVersion | sdk.CanPutLabels | sdk.CanPurge
	case s.Field == "":
		can = can&^(sdk.CanVersions|sdk.CanStat|sdk.CanRestore) | sdk.CanPurge
	default:
		can &= sdk.CanGet | sdk.CanList
	}
	if trim(s.Transit) != "" {
		can |= methods&crypt | sdk.CanAAD
	}
	return can
}

// Reach is the server, and the files that logins and handshakes read.
func (s *Settings) Reach() sdk.Reach {
	r := sdk.Reach{Endpoints: []string{endpoint(s.Address)}}
	if s.TLS.CAFile != "" {
		r.Files = append(r.Files, s.TLS.CAFile)
	}
	if c := s.Auth.Cert; c != nil && c.CertFile != "" {
		r.Files = append(r.Files, c.CertFile, c.KeyFile)
	}
	if f := s.Auth.TokenFile; f != nil {
		r.Files = append(r.Files, f.Path)
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

// trim takes spaces and slashes off the ends of a path, as LiteLLM does.
func trim(path string) string { return strings.Trim(path, " /") }

// secrets and login give the namespaces to send; empty is the top one.
func (s *Settings) secrets() string { return namespace(s.SecretNamespace, s.Namespace) }
func (s *Settings) login() string   { return namespace(s.LoginNamespace, s.Namespace) }

func namespace(own, shared string) string {
	n := cmp.Or(trim(own), trim(shared))
	if n == "root" {
		return ""
	}
	return n
}
