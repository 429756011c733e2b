package awsauth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	renewBefore = 5 * time.Minute  // of a session's end
	maxLogin    = 20 * time.Second // one login with its attempts; a caller's own deadline ends its wait, not the login
	loginPause  = 5 * time.Second  // between logins that a refusal asks for
)

// Session makes signed calls. It is safe for concurrent use and holds nothing to close but the connections of its client.
type Session struct {
	// Config is for the service's client: its address, credentials, attempts and HTTP client.
	Config aws.Config

	sts    *sts.Client
	logins []*aws.CredentialsCache // all whose credentials a refusal may concern; none for a plain key
	mu     sync.Mutex
	forced time.Time // the last login that a refusal asked for
}

// Open prepares a session with settings that Validate has passed. It sends and reads nothing.
func (s *Settings) Open(env sdk.Env) (*Session, error) {
	service, err := s.serviceURL()
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "endpoint: %w", err)
	}
	token, err := s.stsURL()
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "STS endpoint: %w", err)
	}
	client := *env.HTTPClient // a signed request follows no redirect
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg := aws.Config{Region: s.Region, HTTPClient: &client, Retryer: newRetryer, BaseEndpoint: aws.String(token.String())}
	x := &Session{}
	cfg.Credentials = x.login(s, cfg, env)
	x.sts = sts.NewFromConfig(cfg)
	cfg.BaseEndpoint = aws.String(service.String())
	x.Config = cfg
	return x, nil
}

// Identity gives the ARN that AWS takes the session for. Every identity may ask for its own.
func (x *Session) Identity(ctx context.Context) (string, error) {
	out, err := Do(ctx, x, Call{Op: "check", Object: "identity", Service: "STS"}, x.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	if aws.ToString(out.Arn) == "" {
		return "", sdk.Errorf(sdk.Internal, "check identity: STS answered without an ARN")
	}
	return *out.Arn, nil
}

// Call says what a request is for.
type Call struct {
	Op, Object string              // "get", the secret's name
	Service    string              // "Secrets Manager"
	Needs      string              // permission: "secretsmanager:GetSecretValue on ARN"
	Codes      map[string]sdk.Code // by the service's own words, before those that all services share
	Quiet      bool                // the request holds a value, so what the service says of it is not told
}

// Do makes one request of a client. Where AWS refuses the session that a login gave, it logs in again and repeats, at most
// every 5 s. The error is an [*sdk.Error].
func Do[I, O, F any](ctx context.Context, x *Session, c Call, request func(context.Context, *I, ...F) (*O, error), in *I) (*O, error) {
	out, err := request(ctx, in)
	if err != nil && x.renew(err) {
		out, err = request(ctx, in)
	}
	if err != nil {
		return nil, c.classify(ctx, err)
	}
	return out, nil
}

// renew drops all credentials that logins gave, if err says that AWS does not accept them and that was not just tried.
func (x *Session) renew(err error) bool {
	var known *sdk.Error
	if len(x.logins) == 0 || errors.As(err, &known) || !refusals[wordOf(err)] {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if now.Sub(x.forced) < loginPause {
		return false
	}
	x.forced = now
	for _, l := range x.logins {
		l.Invalidate()
	}
	return true
}

// Close drops idle connections.
func (x *Session) Close() { x.Config.HTTPClient.(*http.Client).CloseIdleConnections() } //nolint:forcetypeassert // Open made it
