package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// IAM proves an identity of AWS by a request that only it can sign.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/services/aws_iam_authenticator.htm
type IAM struct {
	ServiceID       string        `json:"service_id" keyway:"required" doc:"Id of the authenticator's service."`
	Region          string        `json:"region" default:"us-east-1" doc:"Region that the request is signed for."`
	AccessKeyID     string        `json:"access_key_id" doc:"Id of an access key. Empty: the chain of AWS's own tools, from the environment to the instance."`
	SecretAccessKey sdk.Sensitive `json:"secret_access_key" doc:"Its secret."`
	SessionToken    sdk.Sensitive `json:"session_token" doc:"The token of a session's key."`
}

// Azure proves an identity by a token of the instance metadata service.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/services/azure_authn.htm
type Azure struct {
	ServiceID        string `json:"service_id" keyway:"required" doc:"Id of the authenticator's service."`
	ClientID         string `json:"client_id" doc:"A user-assigned identity; empty: the system-assigned one."`
	MetadataEndpoint string `json:"metadata_endpoint" default:"http://169.254.169.254" doc:"Where the machine's metadata is."`
}

// GCP proves an identity by a token of the metadata server.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/services/cjr-gcp-authn.htm
type GCP struct {
	MetadataEndpoint string `json:"metadata_endpoint" default:"http://metadata.google.internal" doc:"Where the machine's metadata is."`
}

const (
	emptySum    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	maxMetadata = 64 << 10                                                           // bytes of a token
)

var awsRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)

func (a *Auth) validateCloud() []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	if i := a.IAM; i != nil {
		if !awsRegion.MatchString(i.Region) {
			fault("/auth/iam/region", "is not a region of AWS")
		}
		if (i.AccessKeyID == "") != i.SecretAccessKey.IsZero() || i.AccessKeyID == "" && !i.SessionToken.IsZero() {
			fault("/auth/iam", "needs access_key_id and secret_access_key together, or neither")
		}
	}
	for path, address := range a.metadata() {
		if u, err := url.Parse(address); err != nil || u.Scheme != "http" || u.Hostname() == "" {
			fault(path, "must be an http URL")
		}
	}
	return ps
}

func (a *Auth) metadata() map[string]string {
	switch {
	case a.Azure != nil:
		return map[string]string{"/auth/azure/metadata_endpoint": a.Azure.MetadataEndpoint}
	case a.GCP != nil:
		return map[string]string{"/auth/gcp/metadata_endpoint": a.GCP.MetadataEndpoint}
	}
	return nil
}

// reach is what the login dials and reads besides Conjur itself.
func (a *Auth) reach() (r sdk.Reach) {
	switch {
	case a.IAM != nil && a.IAM.AccessKeyID == "":
		c := a.IAM.connection()
		return c.Reach()
	case a.JWT != nil && a.JWT.TokenFile != "":
		r.Files = []string{a.JWT.TokenFile}
	}
	for _, address := range a.metadata() {
		r.Ambient, r.Endpoints = true, []string{endpoint(address)}
	}
	return r
}

// cloudProof gathers the proof of an identity that a cloud gives.
func (a *authn) cloudProof(ctx context.Context) (proof, error) {
	login, auth := a.settings.Login, &a.settings.Auth
	switch {
	case auth.IAM != nil:
		body, err := auth.IAM.signed(ctx, a.env)
		return proof{authenticator: "authn-iam", service: auth.IAM.ServiceID, login: login, body: body, kind: "application/json"}, err
	case auth.Azure != nil:
		token, err := a.askAzure(ctx, auth.Azure)
		return proof{authenticator: "authn-azure", service: auth.Azure.ServiceID, login: login, body: jwtForm(token), kind: form}, err
	}
	query := url.Values{"audience": {"conjur/" + a.settings.Account + "/" + login}, "format": {"full"}}
	token, err := a.ask(ctx, auth.GCP.MetadataEndpoint+"/computeMetadata/v1/instance/service-accounts/default/identity", query, "Metadata-Flavor", "Google")
	return proof{authenticator: "authn-gcp", body: jwtForm(token), kind: form}, err
}

func (a *authn) askAzure(ctx context.Context, settings *Azure) ([]byte, error) {
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {"https://management.azure.com/"}}
	if settings.ClientID != "" {
		query.Set("client_id", settings.ClientID)
	}
	body, err := a.ask(ctx, settings.MetadataEndpoint+"/metadata/identity/oauth2/token", query, "Metadata", "true")
	if err != nil {
		return nil, err
	}
	var token struct {
		Access string `json:"access_token"`
	}
	if json.Unmarshal(body, &token) != nil || token.Access == "" {
		return nil, sdk.Errorf(sdk.Unauthenticated, "login: the machine's metadata holds no token")
	}
	return []byte(token.Access), nil
}

// ask reads the metadata of the machine.
func (a *authn) ask(ctx context.Context, address string, query url.Values, header, value string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(header, value)
	resp, err := a.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata))
	switch s := resp.StatusCode; {
	case err != nil:
		return nil, err
	case s == http.StatusTooManyRequests, s >= http.StatusInternalServerError:
		return nil, sdk.Errorf(sdk.Unavailable, "login: the machine's metadata service answered %d", s)
	case s != http.StatusOK, len(body) == 0:
		return nil, sdk.Errorf(sdk.Unauthenticated, "login: the machine's metadata service answered %d; is there an identity?", s)
	}
	return []byte(strings.TrimSpace(string(body))), nil
}

func (i *IAM) connection() awsauth.Settings {
	s := awsauth.Settings{Region: i.Region, Service: resolveSTS}
	if i.AccessKeyID == "" {
		s.Auth.Default = &awsauth.Default{}
		return s
	}
	s.Auth.Static = &awsauth.Static{AccessKeyID: i.AccessKeyID, SecretAccessKey: i.SecretAccessKey, SessionToken: i.SessionToken}
	return s
}

func resolveSTS(region *string, fips, dualStack *bool, endpoint *string) (url.URL, error) {
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region: region, UseFIPS: fips, UseDualStack: dualStack, Endpoint: endpoint,
	})
	return e.URI, err
}

// signed gives the headers of a request that asks AWS who we are, which Conjur sends in our place. It is signed anew for each
// login, since a signature holds for some minutes.
func (i *IAM) signed(ctx context.Context, env sdk.Env) (sdk.Sensitive, error) {
	settings := i.connection()
	session, err := settings.Open(env)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	keys, err := session.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return sdk.Sensitive{}, unproven(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, aws.ToString(session.Config.BaseEndpoint)+"/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	if err != nil {
		return sdk.Sensitive{}, err
	}
	r.Header.Set("Host", r.Host)
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, emptySum, "sts", i.Region, time.Now().UTC()); err != nil {
		return sdk.Sensitive{}, unproven(err)
	}
	headers := map[string]string{}
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	body, err := json.Marshal(headers)
	return sdk.NewSensitive(body), err
}

// unproven is a login for which there are no credentials, unless the error says more.
func unproven(err error) error {
	var known *sdk.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return sdk.Errorf(sdk.Unauthenticated, "login: there are no AWS credentials: %w", err)
}
