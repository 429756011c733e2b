package gcpauth

import (
	"github.com/keyway-dev/keyway/sdk"
)

// Settings are those of one connection. A provider's own settings have the same fields at their top and fill them in.
type Settings struct {
	Service        string // the first label of the service's name: "secretmanager"
	Location       string // of a regional endpoint; empty: the global one
	Endpoint       string // in place of Google's own; http only on this machine
	UniverseDomain string // empty: googleapis.com
	QuotaProject   string // that requests count against; empty: what the login says, else that of the resource
	Impersonate    []string
	Auth           Auth
}

// Auth holds one way to get an access token.
type Auth struct {
	ADC             *ADC             `json:"adc" keyway:"operator" doc:"Application Default Credentials: a file that Google's tools wrote, or the machine's identity."`
	Key             *Key             `json:"key" doc:"The key of a service account."`
	KeyFile         *KeyFile         `json:"key_file" doc:"A file with it."`
	ExternalAccount *ExternalAccount `json:"external_account" doc:"Workload identity federation: a token of another issuer."`
	Token           *Token           `json:"token" doc:"An access token that was made elsewhere."`
	None            *None            `json:"none" doc:"No login, for an emulator on this machine."`
}

// ADC looks where Google's own tools do: the file, else gcloud's, else the metadata server.
// https://cloud.google.com/docs/authentication/application-default-credentials
type ADC struct {
	File         string `json:"file" keyway:"operator,path" doc:"Credential file, read at each login; empty: that of GOOGLE_APPLICATION_CREDENTIALS, else gcloud's own, else the metadata server."`
	MetadataHost string `json:"metadata_host" env:"GCE_METADATA_HOST" doc:"Where the metadata server is; empty: 169.254.169.254." example:"metadata.google.internal"`
}

// Key is a credential file's content. A service account's key signs its own tokens, so that no token endpoint is asked.
type Key struct {
	JSON sdk.Sensitive `json:"json" keyway:"required" doc:"The key as Google's console gives it, a JSON object of the type service_account; authorized_user and impersonated_service_account are taken too."`
}

// KeyFile is a credential file.
type KeyFile struct {
	Path      string `json:"path" keyway:"required,operator,path" env:"GOOGLE_APPLICATION_CREDENTIALS,GCS_PATH_SERVICE_ACCOUNT" doc:"The file, read at each login: a key, or any other credential file whose addresses are Google's." example:"/etc/keyway/gcp.json"`
	TokenFile string `json:"token_file" keyway:"operator,path" doc:"The file with the subject's token that a file of the type external_account names."`
}

// ExternalAccount exchanges a token of another issuer, such as Kubernetes, Azure or GitHub.
// https://cloud.google.com/iam/docs/workload-identity-federation
type ExternalAccount struct {
	Config       sdk.Sensitive `json:"config" keyway:"required" doc:"Content of the credential configuration, a JSON object of the type external_account. Sources that are commands or certificates are refused."`
	SubjectToken sdk.Sensitive `json:"subject_token" doc:"The issuer's token, in place of the configuration's credential_source: a reference."`
}

// Token is a login that cannot be renewed.
type Token struct {
	AccessToken sdk.Sensitive `json:"access_token" keyway:"required" doc:"The token. It lasts an hour as a rule."`
}

// None sends no token.
type None struct{}

// Compat is what LiteLLM's configuration of Google implies beyond the tags of these settings, for [sdk.About].
func Compat() map[string]string {
	return map[string]string{
		"litellm.default./auth": `{"adc":{}}`,
		"litellm.order./auth":   "key_file,adc",
	}
}
