package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// current is the stage of the version that counts. It is asked for by name.
const current = "AWSCURRENT"

// store is the secrets of one account and region.
type store struct {
	s       Settings
	session *awsauth.Session
	client  *secretsmanager.Client
}

var (
	_ sdk.Getter      = (*store)(nil)
	_ sdk.BatchGetter = (*store)(nil)
	_ sdk.Stater      = (*store)(nil)
	_ sdk.Lister      = (*store)(nil)
	_ sdk.Versioner   = (*store)(nil)
	_ sdk.Putter      = (*store)(nil)
	_ sdk.Deleter     = (*store)(nil)
	_ sdk.Restorer    = (*store)(nil)
)

func plugin() *sdk.Plugin {
	compat := awsauth.Compat()
	compat["litellm.system"] = "aws_secret_manager"
	compat["litellm.default./region"] = `"us-west-2"`
	return sdk.Define(sdk.About{
		Name:    "aws-sm",
		Version: version,
		Summary: "AWS Secrets Manager",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/aws-sm.md",
		Compat:  compat,
	}, open)
}

func open(_ context.Context, env sdk.Env, s Settings) (*store, error) {
	session, err := s.connection().Open(env)
	if err != nil {
		return nil, err
	}
	return &store{s: s, session: session, client: secretsmanager.NewFromConfig(session.Config)}, nil
}

// stsTimeout bounds a look that is not needed.
const stsTimeout = 10 * time.Second

// Check asks STS who we are, which needs no permission. Where STS cannot be asked, a secret that hardly exists is looked for:
// whatever the service says of it but that it does not know us, the login works.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	short, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	identity, unknown := st.session.Identity(short)
	if unknown == nil || isCode(unknown, sdk.Unauthenticated, sdk.PermissionDenied) {
		return sdk.Report{Identity: identity}, unknown
	}
	_, err := st.Stat(ctx, sdk.StatRequest{Name: "keyway/looks/if/it/may"})
	if err != nil && !isCode(err, sdk.NotFound, sdk.PermissionDenied) {
		return sdk.Report{}, err
	}
	return sdk.Report{Notes: []string{fmt.Sprintf("whose login it is cannot be told: %v", unknown)}}, nil
}

// Close drops idle connections. Sessions of roles end by themselves.
func (st *store) Close(context.Context) error {
	st.session.Close()
	return nil
}

// Get reads one version: the current one, one by its id, or one by a stage.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	id, err := st.secretID("get", r.Name)
	if err != nil {
		return sdk.Secret{}, err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &id}
	switch {
	case idForm.MatchString(r.Version):
		in.VersionId = &r.Version
	case len(r.Version) > maxStage:
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "get %q: a version is an id of 32 to 64 characters, or a stage of at most %d", r.Name, maxStage)
	case r.Version != "":
		in.VersionStage = &r.Version
	default:
		in.VersionStage = aws.String(current)
	}
	out, err := do(ctx, st, "get", r.Name, "GetSecretValue", st.client.GetSecretValue, in)
	if err != nil {
		return sdk.Secret{}, err
	}
	return secretOf(id, r.Name, types.SecretValueEntry{ARN: out.ARN, Name: out.Name, CreatedDate: out.CreatedDate,
		SecretBinary: out.SecretBinary, SecretString: out.SecretString, VersionId: out.VersionId})
}

// secretOf reads one answer. Without a value, or about another secret, it is AWS's fault or of something on the way.
func secretOf(id, name string, v types.SecretValueEntry) (sdk.Secret, error) {
	if !named(id, aws.ToString(v.Name), aws.ToString(v.ARN)) {
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: the answer is about another secret", name)
	}
	s := sdk.Secret{Version: aws.ToString(v.VersionId), Created: aws.ToTime(v.CreatedDate)}
	switch {
	case s.Version == "":
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: the answer has no version", name)
	case aws.ToString(v.SecretString) != "":
		s.Value, s.MediaType = sdk.SensitiveString(*v.SecretString), "text/plain"
	case len(v.SecretBinary) > 0:
		s.Value, s.MediaType = sdk.NewSensitive(v.SecretBinary), "application/octet-stream"
	default:
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: the answer has no value", name)
	}
	return s, nil
}

// Stat tells about a live secret.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	id, err := st.secretID("stat", r.Name)
	if err != nil {
		return sdk.Meta{}, err
	}
	d, err := st.describe(ctx, "stat", r.Name, id)
	if err != nil {
		return sdk.Meta{}, err
	}
	v, err := alive("stat", r.Name, d)
	if err != nil {
		return sdk.Meta{}, err
	}
	return sdk.Meta{Name: r.Name, Version: v, Description: aws.ToString(d.Description), Labels: labels(d.Tags),
		Created: aws.ToTime(d.CreatedDate), Updated: aws.ToTime(d.LastChangedDate)}, nil
}

func (st *store) describe(ctx context.Context, op, name, id string) (*secretsmanager.DescribeSecretOutput, error) {
	d, err := do(ctx, st, op, name, "DescribeSecret", st.client.DescribeSecret, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err == nil && !named(id, aws.ToString(d.Name), aws.ToString(d.ARN)) {
		err = sdk.Errorf(sdk.Internal, "%s %q: the answer is about another secret", op, name)
	}
	return d, err
}

// alive gives the current version. A secret that is scheduled for deletion is FailedPrecondition, one that never had a
// value NotFound, as both are for Get.
func alive(op, name string, d *secretsmanager.DescribeSecretOutput) (string, error) {
	if d.DeletedDate != nil {
		return "", deleted(op, name)
	}
	v := currentOf(d.VersionIdsToStages)
	if v == "" {
		return "", sdk.Errorf(sdk.NotFound, "%s %q: the secret has no current version", op, name)
	}
	return v, nil
}

func deleted(op, name string) error {
	e := sdk.Errorf(sdk.FailedPrecondition, "%s %q: the secret is scheduled for deletion; restore it first", op, name)
	e.Reason = "InvalidRequestException"
	return e
}

// currentOf gives the version that has the stage, empty where none has.
func currentOf(stages map[string][]string) string {
	for id, s := range stages {
		if slices.Contains(s, current) {
			return id
		}
	}
	return ""
}

// labels are the tags, but for those that AWS itself sets: no put could repeat them.
func labels(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		if k := aws.ToString(t.Key); !strings.HasPrefix(strings.ToLower(k), "aws:") {
			out[k] = aws.ToString(t.Value)
		}
	}
	return out
}
