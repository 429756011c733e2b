package sdktest

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyway-dev/keyway/sdk"
)

func preconditionChecks() []Check {
	const absent, version = putGet | sdk.CanPutIfAbsent, putGet | sdk.CanPutIfVersion
	return []Check{
		promise("put/if-absent", "IfAbsent creates a secret that does not exist", absent, putIfAbsent),
		promise("put/if-absent-exists", "IfAbsent on a secret that exists is AlreadyExists and changes nothing", absent, putIfAbsentExists),
		promise("put/if-absent-deleted", "IfAbsent on a secret that can be restored is FailedPrecondition", absent|sdk.CanDelete, putIfAbsentDeleted),
		promise("put/if-version", "IfVersion with the current version adds the next", version, putIfVersion),
		promise("put/if-version-lost", "IfVersion with an old version is Aborted and changes nothing", version, putIfVersionLost),
		promise("put/if-version-missing", "IfVersion on a name that does not exist is Aborted or NotFound and creates nothing", version, putIfVersionMissing),
	}
}

func putIfAbsent(ctx context.Context, t *Target) error {
	name, value := t.name(), t.value()
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: value, If: sdk.IfAbsent()}); err != nil {
		return in("put if absent", err)
	}
	return t.holds(ctx, name, value)
}

func putIfAbsentExists(ctx context.Context, t *Target) error {
	name, value, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	_, err = t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.value(), If: sdk.IfAbsent()})
	if err := refused("put if absent on a secret that exists", err, sdk.AlreadyExists); err != nil {
		return err
	}
	return t.holds(ctx, name, value)
}

func putIfAbsentDeleted(ctx context.Context, t *Target) error {
	name, value, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	deleted, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name})
	if err != nil {
		return in("delete", err)
	}
	_, err = t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.value(), If: sdk.IfAbsent()})
	if !deleted.Recoverable {
		return in("put if absent on a secret that is gone", err)
	}
	if err := refused("put if absent on a secret that can be restored", err, sdk.FailedPrecondition); err != nil {
		return err
	}
	if !t.Store.Can().Has(sdk.CanRestore) {
		return nil
	}
	if err := t.Store.Restore(ctx, sdk.RestoreRequest{Name: name}); err != nil {
		return in("restore", err)
	}
	return t.holds(ctx, name, value)
}

// currentVersion reads the version that IfVersion needs, since Put need not answer one.
func (t *Target) currentVersion(ctx context.Context, name string) (string, error) {
	s, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return "", in("get", err)
	}
	if s.Version == "" {
		return "", errors.New("get: no version, though the store takes IfVersion")
	}
	return s.Version, nil
}

func putIfVersion(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	version, err := t.currentVersion(ctx, name)
	if err != nil {
		return err
	}
	value := t.value()
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: value, If: sdk.IfVersion(version)}); err != nil {
		return in("put if version", err)
	}
	return t.holds(ctx, name, value)
}

func putIfVersionLost(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	old, err := t.currentVersion(ctx, name)
	if err != nil {
		return err
	}
	value, _, err := t.write(ctx, name)
	if err != nil {
		return err
	}
	_, err = t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.value(), If: sdk.IfVersion(old)})
	if err := refused("put if an old version is current", err, sdk.Aborted); err != nil {
		return err
	}
	if err := t.holds(ctx, name, value); err != nil {
		return fmt.Errorf("after a lost IfVersion: %w", err)
	}
	return nil
}

func putIfVersionMissing(ctx context.Context, t *Target) error {
	other, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	version, err := t.currentVersion(ctx, other)
	if err != nil {
		return err
	}
	name := t.name()
	_, err = t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.value(), If: sdk.IfVersion(version)})
	if err := refused("put if version on a missing name", err, sdk.Aborted, sdk.NotFound); err != nil {
		return err
	}
	_, err = t.Store.Get(ctx, sdk.GetRequest{Name: name})
	return refused("get after a put that was refused", err, sdk.NotFound)
}
