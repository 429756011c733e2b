package main

import (
	"fmt"
	"regexp"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM knows them.
type Settings struct {
	Project        string            `json:"project" keyway:"required" env:"GOOGLE_SECRET_MANAGER_PROJECT_ID" doc:"Project of the secrets: its id or its number." example:"acme-prod"`
	Location       string            `json:"location" doc:"Location of regional secrets, asked at the endpoint there. Empty: global secrets." example:"europe-west3"`
	Prefix         string            `json:"prefix" doc:"What every name begins with; names and listings are without it." example:"gateway-"`
	Names          string            `json:"names" default:"exact" enum:"exact,escaped" doc:"How names become Google's, which have letters, digits, dashes and underscores only. exact: they are Google's. escaped: any other byte, and the underscore, becomes an underscore and two hexadecimal digits, so that db/main is db_2fmain."`
	Current        string            `json:"current" default:"latest" enum:"latest,latest_enabled" doc:"Which version is current: the newest, which cannot be read while it is disabled or destroyed, or the newest that can be read."`
	KMSKey         string            `json:"kms_key" doc:"Key of Cloud KMS that encrypts new secrets, without a version: of the location global, or of the same location for regional secrets." example:"projects/acme/locations/global/keyRings/prod/cryptoKeys/secrets"`
	Replicas       []Replica         `json:"replicas" doc:"Where new global secrets are kept. Empty: Google decides."`
	Labels         map[string]string `json:"labels" doc:"Labels of new secrets, beside those of the call."`
	Annotations    map[string]string `json:"annotations" doc:"Annotations of new secrets."`
	Endpoint       string            `json:"endpoint" doc:"Address of the service in place of Google's own: Private Service Connect, an emulator. http only on this machine." example:"https://secretmanager-acme.p.googleapis.com"`
	UniverseDomain string            `json:"universe_domain" default:"googleapis.com" env:"GOOGLE_CLOUD_UNIVERSE_DOMAIN" doc:"Domain of the cloud, for one that is not Google's public one."`
	QuotaProject   string            `json:"quota_project" env:"GOOGLE_CLOUD_QUOTA_PROJECT" doc:"Project that requests count against, if it is not the login's."`
	Impersonate    []string          `json:"impersonate" doc:"Service accounts to act as: the last one, by way of those before it." example:"gateway@acme-prod.iam.gserviceaccount.com"`
	Auth           gcpauth.Auth      `json:"auth" keyway:"required,oneof" doc:"How to log in."`
}

// Replica is one location of a secret.
type Replica struct {
	Location string `json:"location" keyway:"required" doc:"The location." example:"europe-west1"`
	KMSKey   string `json:"kms_key" doc:"Key of Cloud KMS in the same location that encrypts there; all replicas have one, or none." example:"projects/acme/locations/europe-west1/keyRings/prod/cryptoKeys/secrets"`
}

// Forms of Google's names. A project may be one of an old domain, "example.com:acme".
// https://cloud.google.com/resource-manager/docs/creating-managing-projects
var (
	projectForm  = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$|^[0-9]{1,20}$`)
	locationForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	keyForm      = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)
)

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, format string, args ...any) {
		ps = append(ps, sdk.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !projectForm.MatchString(s.Project) {
		fault("/project", "must be the id or the number of a project")
	}
	if s.Prefix != "" && (len(s.Prefix) >= maxName || s.Names == "exact" && !nameForm.MatchString(s.Prefix)) {
		fault("/prefix", "must be of letters, digits, dashes and underscores, and shorter than %d bytes", maxName)
	}
	s.validateEncryption(fault)
	if why := badLabels(s.Labels); why != "" {
		fault("/labels", "%s", why)
	}
	if why := badAnnotations(s.Annotations); why != "" {
		fault("/annotations", "%s", why)
	}
	return append(ps, s.connection().Validate()...)
}

// validateEncryption holds keys to where Google takes them.
// https://cloud.google.com/secret-manager/docs/cmek
func (s *Settings) validateEncryption(fault func(path, format string, args ...any)) {
	if s.Location != "" && len(s.Replicas) > 0 {
		fault("/replicas", "are for global secrets; those of a location are kept there")
	}
	if s.KMSKey != "" {
		want := "global"
		if s.Location != "" {
			want = s.Location
		}
		switch m := keyForm.FindStringSubmatch(s.KMSKey); {
		case len(s.Replicas) > 0:
			fault("/kms_key", "is for secrets without replicas; each replica has a key of its own")
		case m == nil:
			fault("/kms_key", "must be projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY")
		case m[1] != want:
			fault("/kms_key", "must be a key of the location %s", want)
		}
	}
	for i, r := range s.Replicas {
		m := keyForm.FindStringSubmatch(r.KMSKey)
		switch path := fmt.Sprintf("/replicas/%d", i); {
		case !locationForm.MatchString(r.Location):
			fault(path+"/location", "must be a location such as europe-west1")
		case r.KMSKey == "" && s.Replicas[0].KMSKey == "":
		case m == nil || m[1] != r.Location:
			fault(path+"/kms_key", "must be a key of the location %s; all replicas have one, or none", r.Location)
		}
	}
}

// Capabilities: Google deletes for good, and cannot compare a secret's current version while it adds one.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.CanGetVersion | sdk.CanPutIfAbsent | sdk.CanPutLabels | sdk.CanPurge
}

// Reach is the service, and what the login asks and reads.
func (s *Settings) Reach() sdk.Reach { return s.connection().Reach() }

func (s *Settings) connection() *gcpauth.Settings {
	return &gcpauth.Settings{
		Service: "secretmanager", Location: s.Location, Endpoint: s.Endpoint, UniverseDomain: s.UniverseDomain,
		QuotaProject: s.QuotaProject, Impersonate: s.Impersonate, Auth: s.Auth,
	}
}

// parent is the resource that the secrets are in.
func (s *Settings) parent() string {
	if s.Location != "" {
		return "projects/" + s.Project + "/locations/" + s.Location
	}
	return "projects/" + s.Project
}
