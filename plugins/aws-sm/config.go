package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM, and the AWS client that it uses, know them.
type Settings struct {
	Region         string              `json:"region" keyway:"required" env:"AWS_REGION_NAME,AWS_REGION,AWS_DEFAULT_REGION" litellm:"aws_region_name" doc:"Region of the secrets." example:"eu-west-1"`
	Prefix         string              `json:"prefix" doc:"What every name begins with; names and listings are without it." example:"gateway/prod/"`
	KMSKeyID       string              `json:"kms_key_id" litellm:"kms_key_id" doc:"Key that encrypts new secrets: id, ARN or alias/NAME. Empty: aws/secretsmanager." example:"alias/gateway"`
	ReplicaRegions []string            `json:"replica_regions" litellm:"replica_regions" doc:"Regions that new secrets are replicated to."`
	RecoveryDays   int                 `json:"recovery_days" default:"30" doc:"Days for which a deleted secret can be restored where a call does not say; 7 to 30."`
	Endpoint       string              `json:"endpoint" env:"AWS_ENDPOINT_URL,AWS_ENDPOINT_URL_SECRETS_MANAGER" doc:"Address of the service in place of AWS's own: a VPC endpoint, an emulator." example:"https://vpce-1a2b.secretsmanager.eu-west-1.vpce.amazonaws.com"`
	STSEndpoint    string              `json:"sts_endpoint" env:"AWS_ENDPOINT_URL_STS,AWS_STS_ENDPOINT" litellm:"aws_sts_endpoint" doc:"Address of the Security Token Service in place of AWS's own."`
	FIPS           bool                `json:"fips" env:"AWS_USE_FIPS_ENDPOINT" doc:"Use the endpoints that are validated by FIPS 140."`
	DualStack      bool                `json:"dual_stack" env:"AWS_USE_DUALSTACK_ENDPOINT" doc:"Use the endpoints that have IPv6 addresses too."`
	Auth           awsauth.Auth        `json:"auth" keyway:"required,oneof" doc:"How to log in."`
	AssumeRole     *awsauth.AssumeRole `json:"assume_role" doc:"The role that calls are made with, assumed with the login."`
}

var (
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]*$`)
	regionForm = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
	kmsForm    = regexp.MustCompile(`^[\w:/-]*$`)
)

// Days of a recovery window.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
const minDays, maxDays = 7, 30

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	ps := s.connection().Validate()
	fault := func(path, format string, args ...any) {
		ps = append(ps, sdk.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if !prefixForm.MatchString(s.Prefix) || len(s.Prefix) >= maxName {
		fault("/prefix", "must be at most %d letters, digits or /_+=.@-", maxName-1)
	}
	if !kmsForm.MatchString(s.KMSKeyID) {
		fault("/kms_key_id", "is not a key's id or ARN, or alias/NAME")
	}
	for i, r := range s.ReplicaRegions {
		if !regionForm.MatchString(r) || r == s.Region {
			fault(fmt.Sprintf("/replica_regions/%d", i), "is not the name of another region")
		}
	}
	if s.RecoveryDays < minDays || s.RecoveryDays > maxDays {
		fault("/recovery_days", "must be %d to %d", minDays, maxDays)
	}
	return ps
}

// Capabilities are those of every store: what its identity may do, AWS tells at each call.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.CanGetVersion | sdk.CanPutIfAbsent | sdk.CanPutIfVersion | sdk.CanPutLabels | sdk.CanPurge | sdk.CanDeleteWindow
}

// Reach is the service, STS, and what the login reads and dials.
func (s *Settings) Reach() sdk.Reach {
	return s.connection().Reach()
}

func (s *Settings) connection() *awsauth.Settings {
	return &awsauth.Settings{Region: s.Region, Endpoint: s.Endpoint, STSEndpoint: s.STSEndpoint, FIPS: s.FIPS, DualStack: s.DualStack,
		Auth: s.Auth, AssumeRole: s.AssumeRole, Service: resolve}
}

// resolve gives the service's address by AWS's own rules, which know its partitions.
func resolve(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error) {
	e, err := secretsmanager.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), secretsmanager.EndpointParameters{
		Region: region, UseFIPS: fips, UseDualStack: dualStack, Endpoint: endpoint,
	})
	return e.URI, err
}
