package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyway-dev/keyway/sdk"
)

func getChecks() []Check {
	return []Check{
		promise("get/missing", "a name that does not exist is NotFound", sdk.CanGet, getMissing),
		promise("get/existing", "a secret that exists is read, and twice alike", sdk.CanGet, getExisting).with(givenSecret),
		promise("get/missing-version", "a version that does not exist is NotFound, or InvalidArgument where it could not", sdk.CanGet|sdk.CanGetVersion, getMissingVersion).with(givenSecret),
		promise("get/old-version", "an old version is read by its id, with its own value", sdk.CanGet|sdk.CanGetVersion|sdk.CanPut, getOldVersion),
		promise("get/version-is-an-id", "Get names the version it answers by its id, the one Put answered, unless neither tells", sdk.CanGet|sdk.CanGetVersion|sdk.CanPut, getVersionIsAnID),
		promise("get/denied", "a name that the backend refuses is PermissionDenied", sdk.CanGet, getDenied).with(givenDenied),
	}
}

func getMissing(ctx context.Context, t *Target) error {
	_, err := t.Store.Get(ctx, sdk.GetRequest{Name: t.name()})
	return refused("get of a missing name", err, sdk.NotFound)
}

func getExisting(ctx context.Context, t *Target) error {
	name, want, err := t.existing(ctx)
	if err != nil {
		return err
	}
	first, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in("get", err)
	}
	if err := t.same("get", first.Value, want); err != nil {
		return err
	}
	second, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in("get again", err)
	}
	if second.Version != first.Version {
		return fmt.Errorf("get again: version %q, want %q as before", second.Version, first.Version)
	}
	return t.same("get again", second.Value, want)
}

func getMissingVersion(ctx context.Context, t *Target) error {
	name, _, err := t.existing(ctx)
	if err != nil {
		return err
	}
	_, err = t.Store.Get(ctx, sdk.GetRequest{Name: name, Version: "987654321"})
	return refused("get of a missing version", err, sdk.NotFound, sdk.InvalidArgument)
}

func getOldVersion(ctx context.Context, t *Target) error {
	name, old, id, err := t.create(ctx)
	if err == nil && id == "" { // writes do not tell
		id, err = t.current(ctx, name)
	}
	if err != nil {
		return err
	}
	if _, _, err := t.write(ctx, name); err != nil {
		return err
	}
	got, err := t.Store.Get(ctx, sdk.GetRequest{Name: name, Version: id})
	if err != nil {
		return in("get of an old version", err)
	}
	if got.Version != id {
		return fmt.Errorf("get of version %q: answered version %q", id, got.Version)
	}
	return t.same("get of an old version", got.Value, old)
}

// current gives the current version of a secret as Versions tells it.
func (t *Target) current(ctx context.Context, name string) (string, error) {
	if !t.Store.Can().Has(sdk.CanVersions) {
		return "", errors.New("put: no version, though the store reads by version and has no other way to tell one")
	}
	all, err := t.versions(ctx, name, sdk.MaxPage)
	if err != nil {
		return "", err
	}
	for _, v := range all {
		if v.Current {
			return v.Version, nil
		}
	}
	return "", errors.New("versions: none is current")
}

func getVersionIsAnID(ctx context.Context, t *Target) error {
	name, _, id, err := t.create(ctx)
	if err != nil {
		return err
	}
	got, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in("get", err)
	}
	switch {
	case got.Version == "" && id == "": // reads and writes do not tell
	case got.Version == "":
		return errors.New("get: no version, though Put answered one")
	case id != "" && got.Version != id:
		return fmt.Errorf("get: version %q, want %q, which Put answered", got.Version, id)
	}
	return nil
}

func getDenied(ctx context.Context, t *Target) error {
	_, err := t.Store.Get(ctx, sdk.GetRequest{Name: t.Denied})
	return refused("get of a denied name", err, sdk.PermissionDenied)
}

func batchChecks() []Check {
	return []Check{
		promise("batch/order", "a batch answers one result for each name, in the order asked", sdk.CanGetBatch|sdk.CanPut, batchOrder),
		promise("batch/missing", "a missing name in a batch fails alone, or the whole batch asks to be read one by one", sdk.CanGetBatch|sdk.CanPut, batchMissing),
		promise("batch/denied", "a denied name in a batch fails alone, or the whole batch does", sdk.CanGetBatch|sdk.CanPut, batchDenied).with(givenDenied),
		promise("batch/full", "a batch takes as many names as the contract allows", sdk.CanGetBatch, batchFull),
		promise("batch/size", "a batch of no names, or of too many, is InvalidArgument", sdk.CanGetBatch, batchSize),
	}
}

func batchOrder(ctx context.Context, t *Target) error {
	var names []string
	var values []sdk.Sensitive
	for range 5 {
		name, value, _, err := t.create(ctx)
		if err != nil {
			return err
		}
		names, values = append(names, name), append(values, value)
	}
	slices.Reverse(names)
	slices.Reverse(values)
	results, err := t.Store.GetBatch(ctx, sdk.BatchRequest{Names: names})
	if err != nil {
		return in("get_batch", err)
	}
	if len(results) != len(names) {
		return fmt.Errorf("get_batch of %d names: %d results", len(names), len(results))
	}
	for i, r := range results {
		item := fmt.Sprintf("get_batch, result %d", i)
		if r.Err != nil {
			return in(item, r.Err)
		}
		if err := t.same(item, r.Secret.Value, values[i]); err != nil {
			return err
		}
	}
	return nil
}

func batchMissing(ctx context.Context, t *Target) error {
	return t.batchWith(ctx, t.name(), sdk.NotFound)
}

func batchDenied(ctx context.Context, t *Target) error {
	return t.batchWith(ctx, t.Denied, sdk.PermissionDenied)
}

// batchWith reads a name that fails between two that do not.
func (t *Target) batchWith(ctx context.Context, failing string, code sdk.Code) error {
	a, valueA, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	b, valueB, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	results, err := t.Store.GetBatch(ctx, sdk.BatchRequest{Names: []string{a, failing, b}})
	if err != nil { // these codes make the host ask one by one
		return refused("get_batch", err, sdk.NotFound, sdk.PermissionDenied, sdk.FailedPrecondition, sdk.InvalidArgument)
	}
	if len(results) != 3 {
		return fmt.Errorf("get_batch of 3 names: %d results", len(results))
	}
	if err := refused("get_batch, result 1", results[1].Err, code); err != nil {
		return err
	}
	if err := errors.Join(in("get_batch, result 0", results[0].Err), in("get_batch, result 2", results[2].Err)); err != nil {
		return err
	}
	return errors.Join(t.same("get_batch, result 0", results[0].Secret.Value, valueA), t.same("get_batch, result 2", results[2].Secret.Value, valueB))
}

func batchFull(ctx context.Context, t *Target) error {
	names := make([]string, sdk.MaxBatch)
	for i := range names {
		names[i] = t.Scratch + "kw" + random()
	}
	results, err := t.Store.GetBatch(ctx, sdk.BatchRequest{Names: names})
	if err != nil {
		return refused("get_batch of missing names", err, sdk.NotFound)
	}
	if len(results) != len(names) {
		return fmt.Errorf("get_batch of %d names: %d results", len(names), len(results))
	}
	for i, r := range results {
		if err := refused(fmt.Sprintf("get_batch of missing names, result %d", i), r.Err, sdk.NotFound); err != nil {
			return err
		}
	}
	return nil
}

func batchSize(ctx context.Context, t *Target) error {
	names := make([]string, sdk.MaxBatch+1)
	for i := range names {
		names[i] = t.Scratch + "kw" + random()
	}
	for _, names := range [][]string{nil, names} {
		_, err := t.Store.GetBatch(ctx, sdk.BatchRequest{Names: names})
		if err := refused(fmt.Sprintf("get_batch of %d names", len(names)), err, sdk.InvalidArgument); err != nil {
			return err
		}
	}
	return nil
}
