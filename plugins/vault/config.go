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
	TransitContext  bool   `json:"transit_context" doc:"The keys are derived: aad is the context of the derivation, and every call needs it."`
	Forward         bool   `json:"forward_inconsistent" doc:"A standby that lags behind our last write asks the active node; the server must allow it."`
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
	s.Auth.reach(&r)
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
