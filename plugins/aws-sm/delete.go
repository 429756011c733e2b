package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	day = 24 * time.Hour
	// AWS purges a secret some moments after it has said so.
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
	firstLook, lastLook = 50 * time.Millisecond, time.Second
)

// Delete schedules a secret for its deletion, or purges it. Its replicas go first, since AWS keeps a secret that has some;
// a restore does not bring them back.
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	id, err := st.secretID("delete", r.Name)
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	days := int64(st.s.RecoveryDays)
	if r.RecoveryWindow > 0 {
		days = max(minDays, int64((r.RecoveryWindow+day-1)/day))
	}
	if days > maxDays {
		return sdk.DeleteResult{}, sdk.Errorf(sdk.InvalidArgument, "delete %q: Secrets Manager keeps a deleted secret for %d days at most", r.Name, maxDays)
	}
	in := &secretsmanager.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: &days}
	if r.Purge {
		in = &secretsmanager.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: aws.Bool(true)}
	}
	out, err := do(ctx, st, "delete", r.Name, "DeleteSecret", st.client.DeleteSecret, in)
	if isCode(err, sdk.FailedPrecondition, sdk.InvalidArgument) {
		done, refusal := st.clear(ctx, r, id, err)
		if done || refusal != nil {
			return sdk.DeleteResult{Recoverable: done}, refusal
		}
		out, err = do(ctx, st, "delete", r.Name, "DeleteSecret", st.client.DeleteSecret, in)
	}
	if err == nil && r.Purge {
		err = st.gone(ctx, r.Name, id)
	}
	if err != nil || r.Purge {
		return sdk.DeleteResult{}, err
	}
	return sdk.DeleteResult{Recoverable: true, Until: aws.ToTime(out.DeletionDate)}, nil
}

// clear takes away what kept AWS from a delete: replicas, or an earlier delete where this one is to purge. One that was to
// do no more than the earlier is done.
func (st *store) clear(ctx context.Context, r sdk.DeleteRequest, id string, refusal error) (done bool, err error) {
	d, err := st.describe(ctx, "delete", r.Name, id)
	switch {
	case err != nil, d.DeletedDate == nil && len(d.ReplicationStatus) == 0:
		return false, refusal
	case d.DeletedDate != nil && !r.Purge:
		return true, nil
	case d.DeletedDate != nil:
		return false, st.Restore(ctx, sdk.RestoreRequest{Name: r.Name})
	}
	in := &secretsmanager.RemoveRegionsFromReplicationInput{SecretId: &id}
	for _, r := range d.ReplicationStatus {
		in.RemoveReplicaRegions = append(in.RemoveReplicaRegions, aws.ToString(r.Region))
	}
	_, err = do(ctx, st, "delete", r.Name, "RemoveRegionsFromReplication", st.client.RemoveRegionsFromReplication, in)
	return false, err
}

// gone waits until AWS knows a purged secret no more. Who may not look has AWS's word for it.
func (st *store) gone(ctx context.Context, name, id string) error {
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		_, err := st.describe(ctx, "delete", name, id)
		if isCode(err, sdk.NotFound, sdk.PermissionDenied) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return sdk.Errorf(sdk.CodeOf(ctx.Err()), "delete %q: AWS purges it and has not finished: %w", name, ctx.Err())
		}
	}
}

// Restore takes back a delete. A secret that is not deleted stays as it is.
func (st *store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	id, err := st.secretID("restore", r.Name)
	if err != nil {
		return err
	}
	_, err = do(ctx, st, "restore", r.Name, "RestoreSecret", st.client.RestoreSecret, &secretsmanager.RestoreSecretInput{SecretId: &id})
	if !isCode(err, sdk.FailedPrecondition, sdk.InvalidArgument) {
		return err
	}
	if d, e := st.describe(ctx, "restore", r.Name, id); e == nil && d.DeletedDate == nil {
		return nil
	}
	return err
}
