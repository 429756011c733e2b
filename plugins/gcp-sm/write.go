package main

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"time"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
	"github.com/keyway-dev/keyway/sdk"
)

// maxValue is the most that a version holds, in bytes.
// https://cloud.google.com/secret-manager/quotas
const maxValue = 64 << 10

// A writer that is between its two calls is done with them soon. One that has not come to the second while another waited
// for settle never will, nor will one that began longer ago than clocks differ.
const (
	settle     = 5 * time.Second
	settlePoll = 100 * time.Millisecond
	settled    = time.Minute
)

// claim is the annotation with which a writer takes over a secret that was left without a version: the time it did so.
const claim = "keyway-claim"

// Put adds a version. A secret that does not exist is created first: Google has no call for both. Of two that create at
// once one does, and without a condition the other adds its version to it.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	s, err := st.secret("put", r.Name)
	if err != nil {
		return sdk.PutResult{}, err
	}
	about, err := st.newSecret(r)
	if err != nil {
		return sdk.PutResult{}, err
	}
	if !r.If.Absent() {
		out, err := st.add(ctx, s, r.Value)
		if sdk.CodeOf(err) != sdk.NotFound {
			return out, err
		}
	}
	switch err := st.create(ctx, s, about); {
	case err == nil:
	case sdk.CodeOf(err) != sdk.AlreadyExists:
		return sdk.PutResult{}, err
	case r.If.Absent():
		if err := st.takeOver(ctx, s); err != nil {
			return sdk.PutResult{}, err
		}
	}
	return st.add(ctx, s, r.Value)
}

// add makes a version and its checksum, which Google holds it to.
func (st *store) add(ctx context.Context, s secret, value sdk.Sensitive) (sdk.PutResult, error) {
	data := value.Reveal() // it leaves us with the request
	sum := checksum(data)
	var out sdk.PutResult
	c := call{op: "put", object: s.name, on: st.path(s), need: toAdd, quotes: true}
	err := c.do(ctx, func() error {
		v, err := st.client.AddSecretVersion(ctx, &smpb.AddSecretVersionRequest{Parent: st.path(s), Payload: &smpb.SecretPayload{Data: data, DataCrc32C: &sum}})
		if err != nil {
			return err
		}
		if out.Version = versionOf(v.GetName(), s); out.Version == "" {
			return sdk.Errorf(sdk.Internal, "the answer is of something else, %q", v.GetName())
		}
		st.recent.add(s.id, out.Version)
		return nil
	})
	return out, err
}

// create makes a secret without versions.
func (st *store) create(ctx context.Context, s secret, about *smpb.Secret) error {
	c := call{op: "put", object: s.name, on: st.s.parent(), need: toCreate}
	return c.do(ctx, func() error {
		_, err := st.client.CreateSecret(ctx, &smpb.CreateSecretRequest{Parent: st.s.parent(), SecretId: s.id, Secret: about})
		return err
	})
}

// takeOver is for a Put that must create and meets a secret. One with a version exists. One without is being created, or was
// left by a writer that ended between its two calls: then it is absent, and the first of those who meet it takes it over.
func (st *store) takeOver(ctx context.Context, s secret) error {
	exists := sdk.Errorf(sdk.AlreadyExists, "put %q: the secret exists", s.name)
	if whole, err := st.hasVersions(ctx, s); whole || err != nil {
		return cmp.Or[error](err, exists)
	}
	about, err := st.about(ctx, "put", s) // before the wait: whoever takes it over while we wait changes its etag
	if err != nil {
		return err
	}
	for left := patience(about, time.Now()); left > 0; left -= settlePoll {
		if err := gcpauth.Pause(ctx, settlePoll); err != nil {
			return err
		}
		if whole, err := st.hasVersions(ctx, s); whole || err != nil {
			return cmp.Or[error](err, exists)
		}
	}
	notes := map[string]string{}
	maps.Copy(notes, about.GetAnnotations())
	notes[claim] = time.Now().UTC().Format(time.RFC3339Nano)
	c := call{op: "put", object: s.name, on: st.path(s), need: toUpdate}
	_, err = st.client.UpdateSecret(ctx, &smpb.UpdateSecretRequest{
		Secret:     &smpb.Secret{Name: st.path(s), Etag: about.GetEtag(), Annotations: notes},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"annotations"}},
	})
	if err = c.classify(ctx, err); sdk.CodeOf(err) == sdk.FailedPrecondition || sdk.CodeOf(err) == sdk.Aborted {
		return exists // another writer was first
	}
	return err
}

// patience is how long to wait for the version of a secret that has none, since another writer may be at it.
func patience(about *smpb.Secret, now time.Time) time.Duration {
	begun := timeOf(about.GetCreateTime())
	if t, err := time.Parse(time.RFC3339Nano, about.GetAnnotations()[claim]); err == nil && t.After(begun) {
		begun = t
	}
	if now.Sub(begun) > settled {
		return 0
	}
	return settle
}

func (st *store) hasVersions(ctx context.Context, s secret) (bool, error) {
	versions, _, err := st.page(ctx, "put", s, &smpb.ListSecretVersionsRequest{PageSize: 1})
	return len(versions) > 0, err
}

// newSecret is what a Put creates if there is no secret. What Google could not hold is refused before any call.
func (st *store) newSecret(r sdk.PutRequest) (*smpb.Secret, error) {
	about := &smpb.Secret{Labels: maps.Clone(r.Labels), Annotations: maps.Clone(st.s.Annotations)}
	if about.Labels == nil {
		about.Labels = map[string]string{}
	}
	for k, v := range st.s.Labels {
		if _, own := about.Labels[k]; !own {
			about.Labels[k] = v
		}
	}
	if r.Description != "" {
		if about.Annotations == nil {
			about.Annotations = map[string]string{}
		}
		about.Annotations[description] = r.Description
	}
	st.s.place(about)
	why := badLabels(about.Labels)
	if why == "" {
		why = badAnnotations(about.Annotations)
	}
	if n := r.Value.Len(); n > maxValue {
		why = "is " + strconv.Itoa(n) + " bytes; Secret Manager takes " + strconv.Itoa(maxValue)
	}
	if why != "" {
		return nil, sdk.Errorf(sdk.InvalidArgument, "put %q: %s", r.Name, why)
	}
	return about, nil
}

// place says where a new secret is kept, and what it is encrypted with.
func (s *Settings) place(about *smpb.Secret) {
	cmek := func(key string) *smpb.CustomerManagedEncryption {
		if key == "" {
			return nil
		}
		return &smpb.CustomerManagedEncryption{KmsKeyName: key}
	}
	switch {
	case s.Location != "":
		about.CustomerManagedEncryption = cmek(s.KMSKey)
	case len(s.Replicas) > 0:
		managed := &smpb.Replication_UserManaged{}
		for _, r := range s.Replicas {
			managed.Replicas = append(managed.Replicas, &smpb.Replication_UserManaged_Replica{Location: r.Location, CustomerManagedEncryption: cmek(r.KMSKey)})
		}
		about.Replication = &smpb.Replication{Replication: &smpb.Replication_UserManaged_{UserManaged: managed}}
	default:
		automatic := &smpb.Replication_Automatic{CustomerManagedEncryption: cmek(s.KMSKey)}
		about.Replication = &smpb.Replication{Replication: &smpb.Replication_Automatic_{Automatic: automatic}}
	}
}

// Delete removes a secret with all its versions. Google keeps nothing of it.
// https://cloud.google.com/secret-manager/docs/delete-secret
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	s, err := st.secret("delete", r.Name)
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	c := call{op: "delete", object: r.Name, on: st.path(s), need: toDelete}
	return sdk.DeleteResult{}, c.do(ctx, func() error {
		st.recent.forget(s.id)
		return st.client.DeleteSecret(ctx, &smpb.DeleteSecretRequest{Name: st.path(s)})
	})
}
