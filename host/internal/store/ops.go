package store

import (
	"context"
	"errors"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// Check logs in and tells as whom.
func (s *Store) Check(ctx context.Context) (sdk.Report, error) {
	return do(ctx, s, call{op: "check", safe: true}, func(ctx context.Context, d *dial.Store) (sdk.Report, error) {
		return d.Check(ctx)
	})
}

// Get reads one secret from the backend.
func (s *Store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	need := sdk.CanGet
	if r.Version != "" {
		need |= sdk.CanGetVersion
	}
	return do(ctx, s, call{"get", need, true, r.Name, r.Version}, func(ctx context.Context, d *dial.Store) (sdk.Secret, error) {
		return d.Get(ctx, r)
	})
}

// Refresh is Get for a cache: while the backend is unreachable one of many asks, and the others get its failure.
func (s *Store) Refresh(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if err := s.health.refuse(); err != nil {
		return sdk.Secret{}, s.annotate(err)
	}
	return s.Get(ctx, r)
}

// GetBatch reads up to sdk.MaxBatch secrets. ErrAskSingly means that the backend's batch cannot be used and its items
// must be asked for one by one.
func (s *Store) GetBatch(ctx context.Context, names []string) ([]sdk.GetResult, error) {
	out, err := do(ctx, s, call{op: "get_batch", need: sdk.CanGetBatch, safe: true}, func(ctx context.Context, d *dial.Store) ([]sdk.GetResult, error) {
		return d.GetBatch(ctx, sdk.BatchRequest{Names: names})
	})
	switch sdk.CodeOf(err) {
	case sdk.NotFound, sdk.PermissionDenied, sdk.FailedPrecondition, sdk.InvalidArgument, sdk.Unimplemented:
		return nil, ErrAskSingly
	}
	for i := range out {
		if out[i].Err != nil {
			out[i].Err = s.annotate(out[i].Err)
		}
	}
	return out, err
}

// ErrAskSingly says that a batch as a whole was refused.
var ErrAskSingly = errors.New("the batch was refused as a whole")

// Stat tells about one secret.
func (s *Store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	return do(ctx, s, call{op: "stat", need: sdk.CanStat, safe: true, name: r.Name}, func(ctx context.Context, d *dial.Store) (sdk.Meta, error) {
		return d.Stat(ctx, r)
	})
}

// List gives one page of names.
func (s *Store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	return do(ctx, s, call{op: "list", need: sdk.CanList, safe: true}, func(ctx context.Context, d *dial.Store) (sdk.ListPage, error) {
		return d.List(ctx, r)
	})
}

// Versions gives one page of a secret's versions.
func (s *Store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	return do(ctx, s, call{op: "versions", need: sdk.CanVersions, safe: true, name: r.Name}, func(ctx context.Context, d *dial.Store) (sdk.VersionsPage, error) {
		return d.Versions(ctx, r)
	})
}

// Put writes one secret. It is repeated after a crash only without a precondition, since a conditional one that was
// repeated could lose against itself.
func (s *Store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	need := sdk.CanPut
	if r.If.Absent() {
		need |= sdk.CanPutIfAbsent
	}
	if r.If.Version() != "" {
		need |= sdk.CanPutIfVersion
	}
	if r.Description != "" || len(r.Labels) > 0 {
		need |= sdk.CanPutLabels
	}
	return do(ctx, s, call{"put", need, r.If.IsZero(), r.Name, r.If.Version()}, func(ctx context.Context, d *dial.Store) (sdk.PutResult, error) {
		return d.Put(ctx, r)
	})
}

// Delete removes one secret.
func (s *Store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	need := sdk.CanDelete
	if r.Purge {
		need |= sdk.CanPurge
	}
	if r.RecoveryWindow > 0 {
		need |= sdk.CanDeleteWindow
	}
	return do(ctx, s, call{op: "delete", need: need, safe: true, name: r.Name}, func(ctx context.Context, d *dial.Store) (sdk.DeleteResult, error) {
		return d.Delete(ctx, r)
	})
}

// Restore brings a deleted secret back.
func (s *Store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	_, err := do(ctx, s, call{op: "restore", need: sdk.CanRestore, name: r.Name}, func(ctx context.Context, d *dial.Store) (struct{}, error) {
		return struct{}{}, d.Restore(ctx, r)
	})
	return err
}

// Encrypt encrypts with a key of the backend.
func (s *Store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	need := sdk.CanEncrypt
	if len(r.AAD) > 0 {
		need |= sdk.CanAAD
	}
	return do(ctx, s, call{op: "encrypt", need: need, safe: true, name: r.Key}, func(ctx context.Context, d *dial.Store) (sdk.EncryptResult, error) {
		return d.Encrypt(ctx, r)
	})
}

// Decrypt undoes Encrypt.
func (s *Store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	need := sdk.CanDecrypt
	if len(r.AAD) > 0 {
		need |= sdk.CanAAD
	}
	return do(ctx, s, call{op: "decrypt", need: need, safe: true, name: r.Key}, func(ctx context.Context, d *dial.Store) (sdk.DecryptResult, error) {
		return d.Decrypt(ctx, r)
	})
}
