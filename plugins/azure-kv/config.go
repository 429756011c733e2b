package main

import (
	"cmp"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM and Azure's own libraries know them.
type Settings struct {
	VaultURL      string `json:"vault_url" env:"AZURE_KEY_VAULT_URI" doc:"Address of the vault. Needed unless endpoint is set." example:"https://kv-prod.vault.azure.net"`
	Endpoint      string `json:"endpoint" doc:"Where to send requests in place of vault_url: a name that the vault's certificate does not know, another server of the protocol. The server may then ask for a login for any resource." example:"https://127.0.0.1:8443"`
	Cloud         string `json:"cloud" default:"auto" enum:"auto,public,us_government,china" doc:"Which Azure; auto: by the domain of vault_url, else public."`
	AuthorityHost string `json:"authority_host" env:"AZURE_AUTHORITY_HOST" doc:"Where Entra ID answers, if it is not the cloud's: a private cloud." example:"https://login.contoso.example"`
	TenantID      string `json:"tenant_id" env:"AZURE_TENANT_ID" doc:"Tenant of the login: an id or a domain."`
	ClientID      string `json:"client_id" env:"AZURE_CLIENT_ID" doc:"Application that logs in, or client id of a managed identity."`
	Names         string `json:"names" default:"exact" enum:"exact,dashes,escaped" doc:"How names become the vault's, which have letters, digits and dashes only. exact: they are the vault's. dashes: underscores, slashes and dots become dashes, and a tag tells two names apart. escaped: any name, with -u for an underscore, -s for a slash."`
	ContentType   string `json:"content_type" doc:"Content type of new secrets; others keep theirs." example:"application/json"`
	TLS           TLS    `json:"tls" doc:"How to trust the vault and Entra ID."`
	Auth          Auth   `json:"auth" keyway:"required,oneof" doc:"How to log in."`
}

// TLS says whom to trust.
type TLS struct {
	CA     string `json:"ca" doc:"Certificates to trust instead of the system's, as PEM text."`
	CAFile string `json:"ca_file" keyway:"operator,path" doc:"A file of them, read at each handshake."`
}

// Auth holds one way to log in, in the order in which Azure's libraries try them.
type Auth struct {
	ClientSecret *ClientSecret    `json:"client_secret" doc:"A secret of the application client_id in tenant_id."`
	Certificate  *Certificate     `json:"certificate" doc:"A certificate of the application client_id in tenant_id."`
	Workload     *Workload        `json:"workload_identity" doc:"A token of another issuer that the application client_id trusts, such as Kubernetes."`
	Managed      *ManagedIdentity `json:"managed_identity" keyway:"operator" doc:"The machine's own identity. With client_id, object_id or resource_id: one that is assigned to it."`
	CLI          *CLI             `json:"cli" keyway:"operator" doc:"Who is logged in to the Azure CLI; the plugin runs az."`
	Default      *Default         `json:"default" keyway:"operator" doc:"What DefaultAzureCredential finds: environment, workload identity, managed identity, command lines."`
}

// ClientSecret logs an application in with a secret.
type ClientSecret struct {
	Secret sdk.Sensitive `json:"secret" keyway:"required" env:"AZURE_CLIENT_SECRET" doc:"The client secret."`
}

// Certificate logs an application in with a certificate and its key.
type Certificate struct {
	Certificate sdk.Sensitive `json:"certificate" doc:"Certificate and private key: PEM text, or a PFX in base64."`
	File        string        `json:"file" keyway:"operator,path" env:"AZURE_CLIENT_CERTIFICATE_PATH,AZURE_CERTIFICATE_PATH" doc:"A file of them, PEM or PFX, read at each login."`
	Password    sdk.Sensitive `json:"password" env:"AZURE_CLIENT_CERTIFICATE_PASSWORD,AZURE_CERTIFICATE_PASSWORD" doc:"Password of a PFX."`
	SendChain   bool          `json:"send_chain" env:"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN" doc:"Send the chain too, for applications that trust a subject name and issuer."`
}

// Workload logs an application in with a token that another issuer made.
type Workload struct {
	Token     sdk.Sensitive `json:"token" doc:"The token."`
	TokenFile string        `json:"token_file" keyway:"operator,path" env:"AZURE_FEDERATED_TOKEN_FILE" doc:"A file with it, read at each login." example:"/var/run/secrets/azure/tokens/azure-identity-token"`
}

// ManagedIdentity is the machine's.
type ManagedIdentity struct {
	ObjectID   string `json:"object_id" doc:"Object id of an assigned identity."`
	ResourceID string `json:"resource_id" doc:"Resource id of an assigned identity."`
}

// CLI is the login of a command line.
type CLI struct {
	Subscription string `json:"subscription" doc:"Subscription whose account is meant; empty: the current one."`
}

// Default has no settings of its own.
type Default struct{}

var (
	tenantForm       = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)
	subscriptionForm = regexp.MustCompile(`^[0-9A-Za-z ._-]*$`)
	contentTypeForm  = regexp.MustCompile(`^[ -~]{0,255}$`)
)

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	const form = "must be an https URL without path, query and user, such as https://kv-prod.vault.azure.net"
	for _, u := range []struct{ path, text string }{{"/vault_url", s.VaultURL}, {"/endpoint", s.Endpoint}, {"/authority_host", s.AuthorityHost}} {
		if u.text != "" && !isBase(u.text) {
			fault(u.path, form)
		}
	}
	if s.VaultURL == "" && s.Endpoint == "" {
		fault("/vault_url", "is missing, and so is endpoint")
	}
	if of := cloudOf(s.VaultURL); s.Cloud != "auto" && of != "" && of != s.Cloud {
		fault("/cloud", "the vault's domain is that of "+of)
	}
	if s.TenantID != "" && !tenantForm.MatchString(s.TenantID) {
		fault("/tenant_id", "must be the id or a domain of a tenant")
	}
	if !contentTypeForm.MatchString(s.ContentType) {
		fault("/content_type", "must have at most 255 printable characters")
	}
	if s.TLS.CA != "" {
		if _, err := poolOf([]byte(s.TLS.CA)); err != nil {
			fault("/tls/ca", "holds no certificate in PEM")
		}
		if s.TLS.CAFile != "" {
			fault("/tls/ca_file", "and ca are both set")
		}
	}
	return append(ps, s.validateAuth()...)
}

func (s *Settings) validateAuth() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	a := s.Auth
	if a.ClientSecret != nil || a.Certificate != nil || a.Workload != nil {
		if s.TenantID == "" {
			fault("/tenant_id", "is needed for this login")
		}
		if s.ClientID == "" {
			fault("/client_id", "is needed for this login")
		}
	}
	if c := a.Certificate; c != nil {
		if (c.Certificate.Len() > 0) == (c.File != "") {
			fault("/auth/certificate", "needs either certificate or file")
		} else if c.File == "" {
			if _, _, err := parseCertificate(c.Certificate, c.Password); err != nil {
				fault("/auth/certificate/certificate", "is no certificate with its private key that the password opens, PEM or PFX in base64")
			}
		}
	}
	if w := a.Workload; w != nil && (w.Token.Len() > 0) == (w.TokenFile != "") {
		fault("/auth/workload_identity", "needs either token or token_file")
	}
	if m := a.Managed; m != nil {
		n := 0
		for _, id := range []string{s.ClientID, m.ObjectID, m.ResourceID} {
			if id != "" {
				n++
			}
		}
		if n > 1 {
			fault("/auth/managed_identity", "at most one of client_id, object_id and resource_id names the identity")
		}
	}
	if c := a.CLI; c != nil && !subscriptionForm.MatchString(c.Subscription) {
		fault("/auth/cli/subscription", "has characters that no subscription has; use its id")
	}
	return ps
}

// isBase reports whether text is an https URL of a host alone.
func isBase(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// Capabilities: a vault has one recovery window for all its secrets and no way to compare before it writes.
func (*Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.CanGetVersion | sdk.CanPutLabels | sdk.CanPurge
}

// address is where requests go.
func (s *Settings) address() string {
	return strings.TrimRight(cmp.Or(s.Endpoint, s.VaultURL), "/")
}

// endpoint gives the "host:port" of a URL, by the port of its scheme where it names none.
func endpoint(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
}
