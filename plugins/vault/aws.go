package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/sdk"
)

// whoAmI is the request that Vault sends in our place. It tells the identity that signed it, and nothing else.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

// legacyRegion is signed for at the global endpoint, which is the one that Vault asks unless it is told otherwise.
const legacyRegion = "us-east-1"

// credentials signs the request anew for each login, since a signature holds for some minutes.
// https://developer.hashicorp.com/vault/api-docs/auth/aws#login
func (a *AWS) credentials(env sdk.Env) credentials {
	return func(ctx context.Context, _ *api.Client) (map[string]string, error) {
		settings := a.connection()
		session, err := settings.Open(env)
		if err != nil {
			return nil, err
		}
		keys, err := session.Config.Credentials.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		r, err := a.signed(ctx, keys, aws.ToString(session.Config.BaseEndpoint))
		if err != nil {
			return nil, err
		}
		headers, err := json.Marshal(r.Header)
		if err != nil {
			return nil, err
		}
		encode := base64.StdEncoding.EncodeToString
		return map[string]string{
			"role":                    a.Role,
			"iam_http_request_method": r.Method,
			"iam_request_url":         encode([]byte(r.URL.String())),
			"iam_request_body":        encode([]byte(whoAmI)),
			"iam_request_headers":     encode(headers),
		}, nil
	}
}

func (a *AWS) signed(ctx context.Context, keys aws.Credentials, endpoint string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewBufferString(whoAmI))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("Content-Length", strconv.Itoa(len(whoAmI)))
	if a.ServerID != "" {
		r.Header.Set("X-Vault-AWS-IAM-Server-ID", a.ServerID)
	}
	sum := sha256.Sum256([]byte(whoAmI))
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "sts", a.Region, time.Now()); err != nil {
		return nil, sdk.Errorf(sdk.Internal, "login: the request for STS cannot be signed: %w", err)
	}
	return r, nil
}

// resolveSTS gives the address of the Security Token Service by AWS's own rules, which know its partitions.
func resolveSTS(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error) {
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region: region, UseFIPS: fips, UseDualStack: dualStack, Endpoint: endpoint, UseGlobalEndpoint: aws.Bool(aws.ToString(region) == legacyRegion),
	})
	return e.URI, err
}
