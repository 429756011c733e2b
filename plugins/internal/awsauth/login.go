package awsauth

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/keyway-dev/keyway/sdk"
)

// login gives the credentials of the settings: those of auth, and from them those of each role in turn. cfg is that of STS.
func (x *Session) login(s *Settings, cfg aws.Config, env sdk.Env) aws.CredentialsProvider {
	cfg.Credentials = x.base(s, cfg, env)
	for _, h := range s.hops() {
		cfg.Credentials = x.cached("assume role "+h.ARN, "sts:AssumeRole on "+h.ARN, h.provider(sts.NewFromConfig(cfg), s.AssumeRole.Duration))
	}
	return cfg.Credentials
}

func (x *Session) base(s *Settings, cfg aws.Config, env sdk.Env) aws.CredentialsProvider {
	switch a := s.Auth; {
	case a.Static != nil:
		k := a.Static
		return credentials.NewStaticCredentialsProvider(k.AccessKeyID, string(k.SecretAccessKey.Reveal()), string(k.SessionToken.Reveal()))
	case a.WebIdentity != nil:
		role, session := s.webRole()
		p := stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), role, a.WebIdentity, func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = session
		})
		return x.cached("web identity for "+role, "sts:AssumeRoleWithWebIdentity in the trust policy of "+role, p)
	case a.Container != nil:
		return x.cached("container credentials", "", endpointcreds.New(a.Container.url(), func(o *endpointcreds.Options) {
			o.HTTPClient, o.Retryer = cfg.HTTPClient, cfg.Retryer()
			o.AuthorizationTokenProvider = a.Container
		}))
	case a.Instance != nil:
		metadata := imds.New(imds.Options{HTTPClient: cfg.HTTPClient, Endpoint: a.Instance.Endpoint, ClientEnableState: imds.ClientEnabled,
			EnableFallback: aws.FalseTernary})
		return x.cached("instance role", "", ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = metadata }))
	}
	return x.cached(s.shared().title(), "", newChain(s.shared(), cfg, env))
}

// hops are the roles to assume after the first login.
func (s *Settings) hops() []Hop {
	if s.AssumeRole == nil {
		return nil
	}
	hops := append(slices.Clone(s.AssumeRole.Via), s.AssumeRole.last())
	w := s.Auth.WebIdentity
	if w == nil {
		return hops
	}
	// The token is for the first role, unless it names one of its own. One that is both is assumed once.
	if w.RoleARN == "" || w.RoleARN == hops[0].ARN {
		return hops[1:]
	}
	return hops
}

// webRole gives the role of the token and the name of its session.
func (s *Settings) webRole() (role, session string) {
	w := s.Auth.WebIdentity
	role, session = w.RoleARN, w.SessionName
	if r := s.AssumeRole; r != nil {
		first := append(slices.Clone(r.Via), r.last())[0]
		if role == "" {
			role = first.ARN
		}
		if session == "" {
			session = first.SessionName
		}
	}
	if session == "" {
		session = "keyway"
	}
	return role, session
}

func (r *AssumeRole) last() Hop {
	return Hop{ARN: r.ARN, ExternalID: r.ExternalID, SessionName: r.SessionName, Tags: r.Tags, TransitiveTagKeys: r.TransitiveTagKeys}
}

func (h Hop) provider(client *sts.Client, duration time.Duration) aws.CredentialsProvider {
	return stscreds.NewAssumeRoleProvider(client, h.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration, o.TransitiveTagKeys = h.SessionName, duration, h.TransitiveTagKeys
		if h.ExternalID != "" {
			o.ExternalID = &h.ExternalID
		}
		for _, k := range slices.Sorted(maps.Keys(h.Tags)) {
			o.Tags = append(o.Tags, types.Tag{Key: aws.String(k), Value: aws.String(h.Tags[k])})
		}
	})
}

// token is the one that the settings hold. LiteLLM's own example has the path of the token's file in its place.
func (w *WebIdentity) token() sdk.Sensitive {
	if t := w.Token.Reveal(); w.TokenFile != "" && bytes.Equal(t, []byte(w.TokenFile)) {
		return sdk.Sensitive{}
	}
	return w.Token
}

// GetIdentityToken reads the token anew for each login.
func (w *WebIdentity) GetIdentityToken() ([]byte, error) {
	token := w.Token.Reveal()
	if w.TokenFile != "" {
		var err error
		if token, err = readToken(w.TokenFile); err != nil {
			return nil, err
		}
	}
	return bytes.TrimSpace(token), nil
}

// GetToken reads what to send as Authorization; empty is nothing.
func (c *Container) GetToken() (string, error) {
	if c.TokenFile == "" {
		return string(c.Token.Reveal()), nil
	}
	b, err := readToken(c.TokenFile)
	return string(bytes.TrimSpace(b)), err
}

func readToken(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, sdk.Errorf(sdk.Unauthenticated, "read the token: %w", err)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, sdk.Errorf(sdk.Unauthenticated, "the token file %q is empty", path)
	}
	return b, nil
}

// cached keeps what a login gives until shortly before its end.
func (x *Session) cached(title, needs string, p aws.CredentialsProvider) aws.CredentialsProvider {
	c := aws.NewCredentialsCache(&login{title: title, needs: needs, provider: p}, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow, o.ExpiryWindowJitterFrac = renewBefore, 0.5
	})
	x.logins = append(x.logins, c)
	return c
}

// login bounds a provider of credentials in time and gives its errors their codes. One that fails before the credentials
// have ended leaves them in use.
type login struct {
	title, needs string
	provider     aws.CredentialsProvider

	mu   sync.Mutex
	ends time.Time // of the credentials it gave last
}

// Retrieve logs in.
func (l *login) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLogin)
	defer cancel()
	c, err := l.provider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, Call{Op: "log in:", Object: l.title, Service: "AWS", Needs: l.needs, Quiet: true}.loginError(ctx, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = c.Expires
	return c, nil
}

// HandleFailToRefresh goes on with credentials that have not ended.
func (l *login) HandleFailToRefresh(_ context.Context, had aws.Credentials, err error) (aws.Credentials, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); had.HasKeys() && now.Before(l.ends) {
		had.Expires = earlier(now.Add(loginPause), l.ends)
		return had, nil
	}
	return aws.Credentials{}, err
}

// AdjustExpiresBy has credentials renewed before they end, unless they end soon anyway.
func (l *login) AdjustExpiresBy(c aws.Credentials, by time.Duration) (aws.Credentials, error) {
	if c.CanExpire && time.Until(c.Expires) > 2*renewBefore {
		c.Expires = c.Expires.Add(by)
	}
	return c, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
