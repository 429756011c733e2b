package main

import (
	"context"
	"crypto/rand"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/keyway-dev/keyway/sdk"
)

// Limits of what is written.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const (
	maxValue               = 65536    // bytes
	maxDescription         = 2048     // characters
	maxTags                = 50       // of a secret
	maxTagKey, maxTagValue = 128, 256 // characters
)

var tagForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// swapStage is the stage of a version that was written to become current if another one still is. It moves from one to the
// next, so a loser's version has none in the end, and AWS forgets it.
const swapStage = "KEYWAYPENDING"

// write is one put on its way. The token is the id of the version that it makes, so a repetition makes no other.
type write struct {
	sdk.PutRequest
	id, token string
	text      *string // of a value that is UTF-8, else
	binary    []byte
}

// Put writes one version.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	w, err := st.prepare(r)
	if err != nil {
		return sdk.PutResult{}, err
	}
	put := st.upsert
	switch {
	case r.If.Absent():
		put = st.create
	case !r.If.IsZero():
		put = st.swap
	}
	v, err := put(ctx, w)
	if err == nil && v == "" {
		err = sdk.Errorf(sdk.Internal, "put %q: the answer has no version", r.Name)
	}
	return sdk.PutResult{Version: v}, err
}

func (st *store) prepare(r sdk.PutRequest) (write, error) {
	id, err := st.secretID("put", r.Name)
	if err != nil {
		return write{}, err
	}
	value := r.Value.Reveal()
	if len(value) > maxValue {
		return write{}, sdk.Errorf(sdk.InvalidArgument, "put %q: value of %d bytes is over Secrets Manager's limit of %d", r.Name, len(value), maxValue)
	}
	if err := checkLabels(r); err != nil {
		return write{}, err
	}
	w := write{PutRequest: r, id: id, token: r.IdempotencyKey}
	if !idForm.MatchString(w.token) {
		w.token = "keyway-" + rand.Text() // 33 characters
	}
	if utf8.Valid(value) {
		w.text = aws.String(string(value))
	} else {
		w.binary = value
	}
	return w, nil
}

func checkLabels(r sdk.PutRequest) error {
	if utf8.RuneCountInString(r.Description) > maxDescription || len(r.Labels) > maxTags {
		return sdk.Errorf(sdk.InvalidArgument, "put %q: AWS takes a description of at most %d characters and %d labels", r.Name, maxDescription, maxTags)
	}
	for k, v := range r.Labels {
		if n := utf8.RuneCountInString(k); n == 0 || n > maxTagKey || utf8.RuneCountInString(v) > maxTagValue ||
			!tagForm.MatchString(k) || !tagForm.MatchString(v) || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return sdk.Errorf(sdk.InvalidArgument, "put %q: AWS takes no such tag; keys of 1 to %d and values of at most %d letters, digits, spaces or _.:/=+-@, and no key begins with aws:",
				r.Name, maxTagKey, maxTagValue)
		}
	}
	return nil
}

// upsert adds a version to a secret, or creates it. Whoever creates or deletes it meanwhile is met once more.
func (st *store) upsert(ctx context.Context, w write) (string, error) {
	v, err := st.add(ctx, w, nil)
	if !isCode(err, sdk.NotFound) || isARN(w.id) {
		return v, err
	}
	if v, err = st.create(ctx, w); isCode(err, sdk.AlreadyExists) {
		return st.add(ctx, w, nil)
	}
	return v, err
}

// add writes a version; without stages it is the current one.
func (st *store) add(ctx context.Context, w write, stages []string) (string, error) {
	out, err := do(ctx, st, "put", w.Name, "PutSecretValue", st.client.PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId: &w.id, ClientRequestToken: &w.token, SecretString: w.text, SecretBinary: w.binary, VersionStages: stages,
	})
	if isCode(err, sdk.AlreadyExists) {
		return "", sdk.Errorf(sdk.InvalidArgument, "put %q: the idempotency key was used for another value", w.Name)
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

// create makes a secret with all that it gets at its creation, and none in place of another.
func (st *store) create(ctx context.Context, w write) (string, error) {
	if isARN(w.id) {
		return "", sdk.Errorf(sdk.InvalidArgument, "put %q: a secret is created by its name, not by an ARN", w.Name)
	}
	in := &secretsmanager.CreateSecretInput{Name: &w.id, ClientRequestToken: &w.token, SecretString: w.text, SecretBinary: w.binary}
	if w.Description != "" {
		in.Description = &w.Description
	}
	if st.s.KMSKeyID != "" {
		in.KmsKeyId = &st.s.KMSKeyID
	}
	for _, k := range slices.Sorted(maps.Keys(w.Labels)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(w.Labels[k])})
	}
	for _, r := range st.s.ReplicaRegions {
		in.AddReplicaRegions = append(in.AddReplicaRegions, types.ReplicaRegionType{Region: aws.String(r)})
	}
	out, err := do(ctx, st, "put", w.Name, "CreateSecret", st.client.CreateSecret, in)
	if isCode(err, sdk.AlreadyExists) {
		return st.created(ctx, w, err)
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

// created looks what it is that exists: the secret of this put, whose answer was lost, or one that waits for its deletion.
func (st *store) created(ctx context.Context, w write, exists error) (string, error) {
	d, err := st.describe(ctx, "put", w.Name, w.id)
	if err != nil {
		return "", exists // the look may not be allowed
	}
	if d.DeletedDate != nil {
		return "", deleted("put", w.Name)
	}
	if currentOf(d.VersionIdsToStages) == w.token {
		return w.token, nil
	}
	return "", exists
}

// swap makes a version current if another one still is: it is written with a stage of ours, and then AWS moves the stage
// AWSCURRENT, from that one only.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (st *store) swap(ctx context.Context, w write) (string, error) {
	want := w.If.Version()
	if want == "" {
		return "", sdk.Errorf(sdk.InvalidArgument, "put %q: the version to replace is empty", w.Name)
	}
	if v, err := st.compare(ctx, w); err != nil || v == w.token {
		return v, err
	}
	v, err := st.add(ctx, w, []string{swapStage})
	if err != nil {
		return "", err
	}
	_, err = do(ctx, st, "put", w.Name, "UpdateSecretVersionStage", st.client.UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &w.id, VersionStage: aws.String(current), MoveToVersionId: &v, RemoveFromVersionId: &want,
	})
	if isCode(err, sdk.InvalidArgument, sdk.FailedPrecondition) { // AWS's word for another one's being current
		if is, lost := st.compare(ctx, w); lost != nil || is == w.token {
			return is, lost
		}
	}
	return v, err
}

// compare gives the current version: the expected one, or that of this very put. Any other is Aborted.
func (st *store) compare(ctx context.Context, w write) (string, error) {
	d, err := st.describe(ctx, "put", w.Name, w.id)
	if err != nil {
		return "", err
	}
	is, err := alive("put", w.Name, d)
	if err == nil && is != w.If.Version() && is != w.token {
		err = sdk.Errorf(sdk.Aborted, "put %q: version %q is not current any more", w.Name, w.If.Version())
	}
	return is, err
}
