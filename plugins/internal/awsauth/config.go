package awsauth

import (
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Settings are those of one connection to AWS. A provider's own settings have the same fields at their top and fill them in.
type Settings struct {
	Region      string // "eu-west-1"; it decides the partition, and so the names of the services
	Endpoint    string // of the service, in place of AWS's own; "http(s)://host:port"
	STSEndpoint string // of the Security Token Service
	FIPS        bool   // FIPS 140 endpoints
	DualStack   bool   // endpoints that have IPv6 addresses too
	Auth        Auth
	AssumeRole  *AssumeRole
	Service     Resolver
}

// Auth holds one way to get credentials.
type Auth struct {
	Default     *Default     `json:"default" keyway:"operator" doc:"The chain of AWS's own tools: environment, shared files, container, instance."`
	Static      *Static      `json:"static" doc:"An access key."`
	WebIdentity *WebIdentity `json:"web_identity" doc:"A token of an OpenID Connect issuer, for a role that trusts it."`
	Profile     *Profile     `json:"profile" keyway:"operator" doc:"A profile of AWS's shared files, with whatever it says: keys, roles, SSO."`
	Container   *Container   `json:"container" keyway:"operator" doc:"The credential endpoint of an ECS task or an EKS pod."`
	Instance    *Instance    `json:"instance" keyway:"operator" doc:"The role of the EC2 instance."`
}

// Default is the login without settings.
type Default struct{}

// Static is an access key of a user, or one of a session that was made elsewhere.
type Static struct {
	AccessKeyID     string        `json:"access_key_id" keyway:"required" env:"AWS_ACCESS_KEY_ID" doc:"Its id." example:"AKIAIOSFODNN7EXAMPLE"`
	SecretAccessKey sdk.Sensitive `json:"secret_access_key" keyway:"required" env:"AWS_SECRET_ACCESS_KEY" doc:"Its secret."`
	SessionToken    sdk.Sensitive `json:"session_token" env:"AWS_SESSION_TOKEN" doc:"The token of a session's key."`
}

// WebIdentity exchanges a token for a session of a role (STS AssumeRoleWithWebIdentity).
type WebIdentity struct {
	Token       sdk.Sensitive `json:"token" env:"AWS_WEB_IDENTITY_TOKEN" litellm:"aws_web_identity_token" doc:"The token itself: a reference."`
	TokenFile   string        `json:"token_file" keyway:"operator,path" env:"AWS_WEB_IDENTITY_TOKEN_FILE" doc:"A file with the token, read at each login." example:"/var/run/secrets/eks.amazonaws.com/serviceaccount/token"`
	RoleARN     string        `json:"role_arn" env:"AWS_ROLE_ARN" doc:"Role to take with the token; empty: that of assume_role."`
	SessionName string        `json:"session_name" env:"AWS_ROLE_SESSION_NAME" doc:"Name of the session, in CloudTrail; empty: that of assume_role."`
}

// Profile is a section of AWS's shared files.
type Profile struct {
	Name            string `json:"name" keyway:"required" env:"AWS_PROFILE,AWS_PROFILE_NAME" litellm:"aws_profile_name" doc:"Name of the profile." example:"gateway"`
	ConfigFile      string `json:"config_file" keyway:"operator,path" env:"AWS_CONFIG_FILE" doc:"The file that AWS's tools have at ~/.aws/config. Cached SSO tokens are in sso/cache beside it."`
	CredentialsFile string `json:"credentials_file" keyway:"operator,path" env:"AWS_SHARED_CREDENTIALS_FILE" doc:"The file that AWS's tools have at ~/.aws/credentials."`
}

// Container is an endpoint that gives credentials to whatever runs in a task or pod.
type Container struct {
	URI       string        `json:"uri" keyway:"required" env:"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,AWS_CONTAINER_CREDENTIALS_FULL_URI" doc:"Where it is. A path alone is one of 169.254.170.2, as in ECS." example:"http://169.254.170.23/v1/credentials"`
	Token     sdk.Sensitive `json:"token" env:"AWS_CONTAINER_AUTHORIZATION_TOKEN" doc:"What to send as Authorization."`
	TokenFile string        `json:"token_file" keyway:"operator,path" env:"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" doc:"A file with it, read at each login, as in EKS." example:"/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"`
}

// Instance is the metadata service of EC2, version 2.
type Instance struct {
	Endpoint string `json:"endpoint" default:"http://169.254.169.254" env:"AWS_EC2_METADATA_SERVICE_ENDPOINT" doc:"Where it is; http://[fd00:ec2::254] over IPv6."`
}

// AssumeRole is the role that calls are made with, and those on the way to it.
type AssumeRole struct {
	ARN               string            `json:"arn" keyway:"required" env:"AWS_ROLE_NAME" litellm:"aws_role_name" doc:"The role." example:"arn:aws:iam::123456789012:role/gateway"`
	ExternalID        string            `json:"external_id" env:"AWS_EXTERNAL_ID" litellm:"aws_external_id" doc:"What the role's trust policy asks of another account (sts:ExternalId)."`
	SessionName       string            `json:"session_name" default:"keyway" env:"AWS_SESSION_NAME" litellm:"aws_session_name" doc:"Name of the session, in CloudTrail."`
	Duration          time.Duration     `json:"duration" default:"1h" doc:"How long a session lasts, 15m to 12h; at most 1h for a role that is reached from another. It is renewed in use."`
	Tags              map[string]string `json:"tags" doc:"Session tags."`
	TransitiveTagKeys []string          `json:"transitive_tag_keys" doc:"Those of the tags that later roles of the chain get too."`
	Via               []Hop             `json:"via" doc:"Roles to assume before this one, in turn."`
}

// Hop is a role on the way to another.
type Hop struct {
	ARN               string            `json:"arn" keyway:"required" doc:"The role."`
	ExternalID        string            `json:"external_id" doc:"What its trust policy asks of another account."`
	SessionName       string            `json:"session_name" default:"keyway" doc:"Name of the session."`
	Tags              map[string]string `json:"tags" doc:"Session tags."`
	TransitiveTagKeys []string          `json:"transitive_tag_keys" doc:"Those of them that later roles get too."`
}

// Compat is what LiteLLM's configuration of AWS implies beyond the tags of these settings, for [sdk.About].
func Compat() map[string]string {
	return map[string]string{
		"litellm.default./auth":                     `{"default":{}}`,
		"litellm.default./auth/profile/config_file": `"~/.aws/config"`,
		"litellm.order./auth":                       "web_identity,profile,static,container,instance,default",
	}
}
