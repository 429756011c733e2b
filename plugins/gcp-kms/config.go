package main

import (
	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM knows them.
type Settings struct {
	Key            string       `json:"key" keyway:"required" env:"GOOGLE_KMS_RESOURCE_NAME" doc:"Key where a call names none; with /cryptoKeyVersions/N it encrypts with that version." example:"projects/acme/locations/europe-west1/keyRings/prod/cryptoKeys/gateway"`
	Location       string       `json:"location" doc:"Location of a regional endpoint, cloudkms.LOCATION.rep.googleapis.com; empty: the global one, which serves all keys." example:"europe-west3"`
	Endpoint       string       `json:"endpoint" doc:"Address of the service in place of Google's own; http only on this machine." example:"https://cloudkms-acme.p.googleapis.com"`
	UniverseDomain string       `json:"universe_domain" doc:"Domain of a Google cloud that is not googleapis.com."`
	QuotaProject   string       `json:"quota_project" doc:"Project whose quota calls count against; empty: what the login says, else the key's."`
	Impersonate    []string     `json:"impersonate" doc:"Service accounts to become, one through the other; calls are made as the last."`
	Auth           gcpauth.Auth `json:"auth" keyway:"required,oneof" doc:"How to log in."`
}

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	ps := s.connection().Validate()
	if _, ok := parseKey(s.Key); !ok {
		ps = append(ps, sdk.Problem{Path: "/key", Message: "must be " + keyHint + ", with or without /cryptoKeyVersions/N"})
	}
	return ps
}

// Capabilities adds the additional data of a call.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.CanAAD
}

// Reach is the service, and what the login asks and reads.
func (s *Settings) Reach() sdk.Reach { return s.connection().Reach() }

// connection gives the part that all of Google's services share.
func (s *Settings) connection() *gcpauth.Settings {
	return &gcpauth.Settings{Service: "cloudkms", Location: s.Location, Endpoint: s.Endpoint, UniverseDomain: s.UniverseDomain,
		QuotaProject: s.QuotaProject, Impersonate: s.Impersonate, Auth: s.Auth}
}
