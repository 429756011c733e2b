package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Settings of one store. The `env` tags are the names under which LiteLLM, and the AWS client that it uses, know them.
type Settings struct {
	Region      string              `json:"region" keyway:"required" env:"AWS_REGION_NAME,AWS_REGION,AWS_DEFAULT_REGION" doc:"Region of the keys." example:"eu-west-1"`
	Key         string              `json:"key" doc:"Key where a call names none: id, ARN, alias/NAME or an alias's ARN. Without it a ciphertext decrypts with the key that it names." example:"alias/gateway"`
	Algorithm   string              `json:"algorithm" default:"SYMMETRIC_DEFAULT" enum:"SYMMETRIC_DEFAULT,RSAES_OAEP_SHA_1,RSAES_OAEP_SHA_256,SM2PKE" doc:"How the keys encrypt. The others are for asymmetric keys, which a call or key must name."`
	Context     map[string]string   `json:"context" doc:"Encryption context of every call, beside the additional data of a call. CloudTrail shows it."`
	GrantTokens []string            `json:"grant_tokens" doc:"Tokens of grants that are too new to be known everywhere; AWS does not count them as secret."`
	Trim        bool                `json:"trim" doc:"Plaintexts lose the white space around them, as with LiteLLM: many were encrypted with a line end."`
	Endpoint    string              `json:"endpoint" env:"AWS_ENDPOINT_URL,AWS_ENDPOINT_URL_KMS" doc:"Address of the service in place of AWS's own: a VPC endpoint, an emulator." example:"https://vpce-1a2b.kms.eu-west-1.vpce.amazonaws.com"`
	STSEndpoint string              `json:"sts_endpoint" env:"AWS_ENDPOINT_URL_STS,AWS_STS_ENDPOINT" doc:"Address of the Security Token Service in place of AWS's own."`
	FIPS        bool                `json:"fips" env:"AWS_USE_FIPS_ENDPOINT" doc:"Use the endpoints that are validated by FIPS 140."`
	DualStack   bool                `json:"dual_stack" env:"AWS_USE_DUALSTACK_ENDPOINT" doc:"Use the endpoints that have IPv6 addresses too."`
	Auth        awsauth.Auth        `json:"auth" keyway:"required,oneof" doc:"How to log in."`
	AssumeRole  *awsauth.AssumeRole `json:"assume_role" doc:"The role that calls are made with, assumed with the login."`
}

const symmetric = "SYMMETRIC_DEFAULT"

// keyForm is what may stand in an id, an ARN or an alias. Above all it has no space and no control character.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
var keyForm = regexp.MustCompile(`^[\w:/-]+$`)

// Validate checks what no tag can say.
func (s *Settings) Validate() []sdk.Problem {
	connection := s.connection()
	ps := connection.Validate()
	fault := func(path, format string, args ...any) {
		ps = append(ps, sdk.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch region := regionOf(s.Key); {
	case s.Key != "" && !keyForm.MatchString(s.Key):
		fault("/key", "is not a key's id or ARN, alias/NAME or an alias's ARN")
	case region != "" && region != s.Region:
		fault("/key", "is a key of the region %s, and the store is of %s", region, s.Region)
	}
	if s.Algorithm != symmetric && len(s.Context) > 0 {
		fault("/context", "has no use with an asymmetric key, which takes no encryption context")
	}
	for i, token := range s.GrantTokens {
		if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			fault(fmt.Sprintf("/grant_tokens/%d", i), "is not a grant token")
		}
	}
	if len(s.GrantTokens) > maxGrants {
		fault("/grant_tokens", "are %d; a call takes %d", len(s.GrantTokens), maxGrants)
	}
	return ps
}

// maxGrants is how many grant tokens a call takes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
const maxGrants = 10

// regionOf gives the region of a key's ARN, arn:PARTITION:kms:REGION:ACCOUNT:…; empty for an id or an alias.
func regionOf(key string) string {
	if parts := strings.Split(key, ":"); len(parts) > 4 && parts[0] == "arn" {
		return parts[3]
	}
	return ""
}

// Capabilities: only symmetric keys bind additional data.
func (s *Settings) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	if s.Algorithm == symmetric {
		methods |= sdk.CanAAD
	}
	return methods
}

// Reach is the service, STS, and what the login reads and dials.
func (s *Settings) Reach() sdk.Reach {
	connection := s.connection()
	return connection.Reach()
}

func (s *Settings) connection() awsauth.Settings {
	return awsauth.Settings{Region: s.Region, Endpoint: s.Endpoint, STSEndpoint: s.STSEndpoint, FIPS: s.FIPS, DualStack: s.DualStack,
		Auth: s.Auth, AssumeRole: s.AssumeRole, Service: resolve}
}

// resolve gives the service's address by AWS's own rules, which know its partitions.
func resolve(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error) {
	e, err := kms.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), kms.EndpointParameters{
		Region: region, UseFIPS: fips, UseDualStack: dualStack, Endpoint: endpoint,
	})
	return e.URI, err
}
