package main

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Auth holds one way to log in. Of several that LiteLLM has configured the first of approle, cert and token counts.
type Auth struct {
	AppRole    *AppRole    `json:"approle" doc:"Role id and secret id."`
	Cert       *Cert       `json:"cert" doc:"The client certificate of the connection."`
	Token      *Token      `json:"token" doc:"A token as it is, renewed while in use if it can be."`
	TokenFile  *TokenFile  `json:"token_file" doc:"A token in a file, such as an agent's sink."`
	Kubernetes *Kubernetes `json:"kubernetes" doc:"The token of a Kubernetes service account."`
	JWT        *JWT        `json:"jwt" doc:"A token of an OpenID Connect issuer, or any signed JWT."`
	Userpass   *Userpass   `json:"userpass" doc:"A user of Vault's own and a password."`
	LDAP       *LDAP       `json:"ldap" doc:"A user of a directory and a password."`
	AWS        *AWS        `json:"aws" doc:"An AWS identity, by a signed GetCallerIdentity request (type iam)."`
	GCP        *GCP        `json:"gcp" doc:"A Google service account or the identity of a Compute Engine instance."`
	Azure      *Azure      `json:"azure" doc:"The managed identity of an Azure machine."`
}

// AppRole logs in with a role.
type AppRole struct {
	Mount    string        `json:"mount" default:"approle" env:"HCP_VAULT_APPROLE_MOUNT_PATH" doc:"Mount of the auth method."`
	RoleID   string        `json:"role_id" keyway:"required" env:"HCP_VAULT_APPROLE_ROLE_ID" doc:"The role's id."`
	SecretID sdk.Sensitive `json:"secret_id" keyway:"required" env:"HCP_VAULT_APPROLE_SECRET_ID" doc:"The secret id."`
	Wrapped  bool          `json:"wrapped" doc:"secret_id is the token of a response that wraps it: unwrapped at the first login, and kept in memory."`
}

// Cert logs in with the certificate of its files, read at each login, or of [TLS].
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

// serviceAccount is where Kubernetes puts the token of a pod's service account.
// https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Kubernetes logs in as a service account.
// https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login
type Kubernetes struct {
	Mount     string        `json:"mount" default:"kubernetes" doc:"Mount of the auth method."`
	Role      string        `json:"role" keyway:"required" doc:"Role to ask for."`
	Token     sdk.Sensitive `json:"token" doc:"The service account's token itself: a reference."`
	TokenFile string        `json:"token_file" keyway:"operator,path" doc:"A file with it, read at each login. Empty, without token: /var/run/secrets/kubernetes.io/serviceaccount/token."`
}

// JWT logs in with a token that somebody else signed.
// https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login
type JWT struct {
	Mount     string        `json:"mount" default:"jwt" doc:"Mount of the auth method, of JWT or of OIDC."`
	Role      string        `json:"role" doc:"Role to ask for; empty: the mount's default."`
	Token     sdk.Sensitive `json:"token" doc:"The token itself: a reference."`
	TokenFile string        `json:"token_file" keyway:"operator,path" doc:"A file with it, read at each login."`
}

// Userpass logs in with a password.
type Userpass struct {
	Mount    string        `json:"mount" default:"userpass" doc:"Mount of the auth method."`
	Username string        `json:"username" keyway:"required" doc:"The user."`
	Password sdk.Sensitive `json:"password" keyway:"required" doc:"The password."`
}

// LDAP logs in with a password that a directory knows.
type LDAP struct {
	Mount    string        `json:"mount" default:"ldap" doc:"Mount of the auth method."`
	Username string        `json:"username" keyway:"required" doc:"The user."`
	Password sdk.Sensitive `json:"password" keyway:"required" doc:"The password."`
}

// AWS proves an identity by a request that only it can sign.
// https://developer.hashicorp.com/vault/docs/auth/aws#iam-auth-method
type AWS struct {
	Mount           string        `json:"mount" default:"aws" doc:"Mount of the auth method."`
	Role            string        `json:"role" doc:"Role to ask for; empty: the one named like the AWS role or user."`
	ServerID        string        `json:"server_id" doc:"Value of the header X-Vault-AWS-IAM-Server-ID, if the mount demands one." example:"vault.example.com"`
	Region          string        `json:"region" default:"us-east-1" doc:"Region that the request is signed for: that of the endpoint which the mount asks."`
	STSEndpoint     string        `json:"sts_endpoint" doc:"Address of the Security Token Service that the request is for, in place of the region's own."`
	AccessKeyID     string        `json:"access_key_id" doc:"Id of an access key. Empty: the chain of AWS's own tools, from the environment to the instance."`
	SecretAccessKey sdk.Sensitive `json:"secret_access_key" doc:"Its secret."`
	SessionToken    sdk.Sensitive `json:"session_token" doc:"The token of a session's key."`
}

// GCP proves an identity by a token that Google, or a key of Google's, has signed.
// https://developer.hashicorp.com/vault/docs/auth/gcp
type GCP struct {
	Mount            string        `json:"mount" default:"gcp" doc:"Mount of the auth method."`
	Role             string        `json:"role" keyway:"required" doc:"Role to ask for."`
	Key              sdk.Sensitive `json:"key" doc:"The key file of a service account, JSON, which signs the login (role of type iam)."`
	ServiceAccount   string        `json:"service_account" doc:"E-mail of a service account for which the instance's own may sign (role of type iam; iam.serviceAccounts.signJwt). Empty, without key: the instance's identity token (type gce)."`
	IAMEndpoint      string        `json:"iam_endpoint" default:"https://iamcredentials.googleapis.com" doc:"Where Google signs."`
	MetadataEndpoint string        `json:"metadata_endpoint" default:"http://metadata.google.internal" doc:"Where the instance's metadata is."`
}

// Azure proves an identity by a token of the instance metadata service.
// https://developer.hashicorp.com/vault/api-docs/auth/azure#login
type Azure struct {
	Mount            string `json:"mount" default:"azure" doc:"Mount of the auth method."`
	Role             string `json:"role" keyway:"required" doc:"Role to ask for."`
	Resource         string `json:"resource" default:"https://management.azure.com/" doc:"Audience of the token, as the mount is configured."`
	ClientID         string `json:"client_id" doc:"Client id of a user-assigned identity; empty: the machine's own."`
	MetadataEndpoint string `json:"metadata_endpoint" default:"http://169.254.169.254" doc:"Where the instance's metadata is."`
}

// choice gives the name of the login that is set, and the mount of its auth method, nil for tokens that were made elsewhere.
func (a *Auth) choice() (name string, mount *string) {
	switch {
	case a.AppRole != nil:
		return "approle", &a.AppRole.Mount
	case a.Cert != nil:
		return "cert", &a.Cert.Mount
	case a.Kubernetes != nil:
		return "kubernetes", &a.Kubernetes.Mount
	case a.JWT != nil:
		return "jwt", &a.JWT.Mount
	case a.Userpass != nil:
		return "userpass", &a.Userpass.Mount
	case a.LDAP != nil:
		return "ldap", &a.LDAP.Mount
	case a.AWS != nil:
		return "aws", &a.AWS.Mount
	case a.GCP != nil:
		return "gcp", &a.GCP.Mount
	case a.Azure != nil:
		return "azure", &a.Azure.Mount
	case a.TokenFile != nil:
		return "token_file", nil
	}
	return "token", nil
}

func (a *Auth) validate() []sdk.Problem {
	name, mount := a.choice()
	var ps []sdk.Problem
	fault := func(path, message string) {
		ps = append(ps, sdk.Problem{Path: "/auth/" + name + path, Message: message})
	}
	if mount != nil && sdk.CheckName(trim(*mount)) != nil {
		fault("/mount", "must be the path of an auth method")
	}
	switch {
	case a.Token != nil && !printable(a.Token.Token.Reveal()):
		fault("/token", "holds spaces or characters that no token has")
	case a.AppRole != nil && a.AppRole.Wrapped && !printable(a.AppRole.SecretID.Reveal()):
		fault("/secret_id", "holds spaces or characters that no token has")
	case a.Kubernetes != nil && !a.Kubernetes.Token.IsZero() && a.Kubernetes.TokenFile != "":
		fault("", "takes token or token_file, not both")
	case a.JWT != nil && a.JWT.Token.IsZero() == (a.JWT.TokenFile == ""):
		fault("", "needs one of token and token_file")
	case a.Userpass != nil && !isSegment(a.Userpass.Username), a.LDAP != nil && !isSegment(a.LDAP.Username):
		fault("/username", "must have no slash and no control characters")
	case a.AWS != nil:
		a.AWS.validate(fault)
	case a.GCP != nil:
		a.GCP.validate(fault)
	case a.Azure != nil && !isAddress(a.Azure.MetadataEndpoint):
		fault("/metadata_endpoint", "must be an http or https URL")
	}
	return ps
}

func (a *AWS) validate(fault func(path, message string)) {
	if (a.AccessKeyID == "") != a.SecretAccessKey.IsZero() || a.AccessKeyID == "" && !a.SessionToken.IsZero() {
		fault("/access_key_id", "and secret_access_key go together")
	}
	if a.ServerID != "" && !printable([]byte(a.ServerID)) {
		fault("/server_id", "holds characters that a header cannot have")
	}
	if a.STSEndpoint != "" && !isAddress(a.STSEndpoint) {
		fault("/sts_endpoint", "must be an http or https URL")
		return
	}
	c := a.connection()
	for _, p := range c.Validate() {
		if path := strings.TrimPrefix(p.Path, "/auth/static"); path != p.Path || path == "/region" {
			fault(path, p.Message)
		}
	}
}

func (g *GCP) validate(fault func(path, message string)) {
	if !g.Key.IsZero() {
		if _, err := parseKey(g.Key); err != nil {
			fault("/key", "is not the key file of a service account")
		}
		if g.ServiceAccount != "" {
			fault("/service_account", "has no use with a key, which names its own")
		}
	}
	if !isAddress(g.IAMEndpoint) {
		fault("/iam_endpoint", "must be an http or https URL")
	}
	if !isAddress(g.MetadataEndpoint) {
		fault("/metadata_endpoint", "must be an http or https URL")
	}
}

// reach adds what the login reads and dials beside the server.
func (a *Auth) reach(r *sdk.Reach) {
	switch {
	case a.Cert != nil && a.Cert.CertFile != "":
		r.Files = append(r.Files, a.Cert.CertFile, a.Cert.KeyFile)
	case a.TokenFile != nil:
		r.Files = append(r.Files, a.TokenFile.Path)
	case a.Kubernetes != nil && a.Kubernetes.Token.IsZero():
		r.Files = append(r.Files, cmp.Or(a.Kubernetes.TokenFile, serviceAccount))
	case a.JWT != nil && a.JWT.TokenFile != "":
		r.Files = append(r.Files, a.JWT.TokenFile)
	case a.AWS != nil && a.AWS.AccessKeyID == "":
		c := a.AWS.connection()
		own := c.Reach()
		r.Ambient, r.Files, r.Endpoints = own.Ambient, append(r.Files, own.Files...), append(r.Endpoints, own.Endpoints...)
	case a.GCP != nil && a.GCP.Key.IsZero():
		r.Ambient, r.Endpoints = true, append(r.Endpoints, endpoint(a.GCP.MetadataEndpoint))
		if a.GCP.ServiceAccount != "" {
			r.Endpoints = append(r.Endpoints, endpoint(a.GCP.IAMEndpoint))
		}
	case a.Azure != nil:
		r.Ambient, r.Endpoints = true, append(r.Endpoints, endpoint(a.Azure.MetadataEndpoint))
	}
}

// connection is what signs requests to the Security Token Service.
func (a *AWS) connection() awsauth.Settings {
	s := awsauth.Settings{Region: a.Region, Endpoint: a.STSEndpoint, STSEndpoint: a.STSEndpoint, Service: resolveSTS}
	if a.AccessKeyID == "" {
		s.Auth.Default = &awsauth.Default{}
		return s
	}
	s.Auth.Static = &awsauth.Static{AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.SessionToken}
	return s
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

// isSegment reports whether a path can end in s.
func isSegment(s string) bool { return sdk.CheckName(s) == nil && !strings.Contains(s, "/") }

func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
