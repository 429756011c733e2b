package awsauth

import (
	"context"
	"crypto/sha1" //nolint:gosec // AWS's tools name the files of their SSO cache by it
	"encoding/hex"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keyway-dev/keyway/sdk"
)

// instanceEndpoint is the metadata service of EC2.
const instanceEndpoint = "http://169.254.169.254"

// shared is a login that AWS's own loader makes: a named profile, or the default chain.
type shared struct {
	profile string // empty: the chain
	files   []string
	config  []string // nil: those of the loader
	creds   []string
}

func (s *Settings) shared() shared {
	p := s.Auth.Profile
	if p == nil {
		return shared{files: chainFiles()}
	}
	sh := shared{profile: p.Name, config: []string{}, creds: []string{}}
	if p.ConfigFile != "" {
		sh.config = []string{p.ConfigFile}
	}
	if p.CredentialsFile != "" {
		sh.creds = []string{p.CredentialsFile}
	}
	sh.files = slices.Concat(sh.config, sh.creds)
	return sh
}

func (sh shared) title() string {
	if sh.profile == "" {
		return "default chain"
	}
	return "profile " + sh.profile
}

// chainFiles are those that the default chain reads, as far as the process has a home folder or an environment.
func chainFiles() []string {
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil
	}
	files := []string{env.WebIdentityTokenFilePath}
	for _, f := range [][2]string{{env.SharedConfigFile, config.DefaultSharedConfigFilename()}, {env.SharedCredentialsFile, config.DefaultSharedCredentialsFilename()}} {
		if f[0] == "" {
			f[0] = f[1]
		}
		files = append(files, f[0])
	}
	return slices.DeleteFunc(files, func(f string) bool { return !filepath.IsAbs(f) })
}

// chain loads the files anew at each login.
type chain struct {
	shared shared
	cfg    aws.Config // of STS
}

// newChain gives the loader a client of the kind that it can add a bundle of authorities to (AWS_CA_BUNDLE).
func newChain(sh shared, cfg aws.Config, env sdk.Env) *chain {
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.Proxy = nil
		if env.DialContext != nil {
			t.DialContext = env.DialContext
		}
	})
	return &chain{shared: sh, cfg: cfg}
}

// Retrieve logs in as AWS's own tools do.
func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	opts := []func(*config.LoadOptions) error{
		config.WithRegion(c.cfg.Region), config.WithHTTPClient(c.cfg.HTTPClient), config.WithRetryer(c.cfg.Retryer),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = c.cfg.HTTPClient }),
		config.WithAPIOptions([]func(*middleware.Stack) error{c.sendToSTS}),
	}
	if c.shared.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(c.shared.profile),
			config.WithSharedConfigFiles(c.shared.config), config.WithSharedCredentialsFiles(c.shared.creds))
		if p, err := c.shared.load(); err == nil && p.SSOAccountID != "" {
			opts = append(opts, config.WithSSOTokenProviderOptions(func(o *ssocreds.SSOTokenProviderOptions) { o.CachedTokenFilepath = c.shared.ssoFile(p) }),
				config.WithSSOProviderOptions(func(o *ssocreds.Options) { o.CachedTokenFilepath = c.shared.ssoFile(p) }))
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Credentials{}, sdk.Errorf(sdk.Unauthenticated, "load the shared files: %w", err)
	}
	return cfg.Credentials.Retrieve(ctx)
}

// sendToSTS has the loader's clients of STS use our address of it, whatever the environment says. No option of the loader
// reaches them.
func (c *chain) sendToSTS(stack *middleware.Stack) error {
	to, err := url.Parse(aws.ToString(c.cfg.BaseEndpoint))
	if err != nil {
		return err
	}
	const resolved = "ResolveEndpointV2"
	if _, ok := stack.Finalize.Get(resolved); !ok {
		return nil // no client of a service
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SendToSTS", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if q, ok := in.Request.(*smithyhttp.Request); ok && awsmiddleware.GetServiceID(ctx) == sts.ServiceID {
			q.URL.Scheme, q.URL.Host = to.Scheme, to.Host
		}
		return next.HandleFinalize(ctx, in)
	}), resolved, middleware.After)
}

func (sh shared) load() (config.SharedConfig, error) {
	profile := sh.profile
	if profile == "" {
		profile = config.DefaultSharedConfigProfile
	}
	return config.LoadSharedConfigProfile(context.Background(), profile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = sh.config, sh.creds
	})
}

// ssoFile is where the tools that belong to the config file keep the token of a profile's SSO session.
func (sh shared) ssoFile(p config.SharedConfig) string {
	key := p.SSOStartURL
	if p.SSOSession != nil {
		key = p.SSOSession.Name
	}
	sum := sha1.Sum([]byte(key)) //nolint:gosec // the tools' choice
	return filepath.Join(sh.ssoFolder(), hex.EncodeToString(sum[:])+".json")
}

func (sh shared) ssoFolder() string {
	file := config.DefaultSharedConfigFilename()
	if len(sh.config) > 0 {
		file = sh.config[0]
	}
	return filepath.Join(filepath.Dir(file), "sso", "cache")
}

// reach adds what the login reads and dials. What the profile says counts once its file can be read: the host opens a store
// again when it has given the process the files.
func (sh shared) reach(r *sdk.Reach) {
	r.Ambient = true
	r.Files = append(r.Files, sh.files...)
	env, err := config.NewEnvConfig()
	if err != nil {
		env = config.EnvConfig{}
	}
	p, err := sh.load()
	if err != nil && sh.profile != "" {
		return
	}
	first := &p
	for first.Source != nil {
		first = first.Source
	}
	switch {
	case first.SSOAccountID != "":
		sh.reachSSO(first, r)
	case first.WebIdentityTokenFile != "":
		r.Files = append(r.Files, first.WebIdentityTokenFile)
	case first.Credentials.HasKeys(), first.CredentialProcess != "":
	case sh.profile == "" && (env.Credentials.HasKeys() || env.WebIdentityTokenFilePath != ""):
	default:
		reachMachine(env, r)
	}
}

// reachMachine adds the container's endpoint, if there is one, else the instance's.
func reachMachine(env config.EnvConfig, r *sdk.Reach) {
	switch {
	case env.ContainerCredentialsRelativePath != "":
		r.Endpoints = append(r.Endpoints, containerHosts[0]+":80")
	case env.ContainerCredentialsEndpoint != "":
		r.Endpoints = append(r.Endpoints, endpointOf(env.ContainerCredentialsEndpoint))
	case env.EC2IMDSEndpoint != "":
		r.Endpoints = append(r.Endpoints, endpointOf(env.EC2IMDSEndpoint))
	default:
		r.Endpoints = append(r.Endpoints, endpointOf(instanceEndpoint))
	}
}

// reachSSO adds the portal and the token service of IAM Identity Center, and the folder in which tokens are renewed.
func (sh shared) reachSSO(p *config.SharedConfig, r *sdk.Reach) {
	region := p.SSORegion
	if p.SSOSession != nil {
		region = p.SSOSession.SSORegion
		r.Writes = append(r.Writes, sh.ssoFolder())
	}
	r.Files = append(r.Files, sh.ssoFolder())
	portal, err := sso.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sso.EndpointParameters{Region: &region}.WithDefaults())
	tokens, err2 := ssooidc.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), ssooidc.EndpointParameters{Region: &region}.WithDefaults())
	if err != nil || err2 != nil {
		return
	}
	for _, u := range []url.URL{portal.URI, tokens.URI} {
		r.Endpoints = append(r.Endpoints, hostPort(u))
	}
}
