package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// recoveryWindow is one that every backend with windows takes (AWS Secrets Manager: 7 to 30 days).
const recoveryWindow = 7 * 24 * time.Hour

func deleteChecks() []Check {
	const del = putGet | sdk.CanDelete
	return []Check{
		promise("delete/gone", "a deleted secret is FailedPrecondition where it can be restored, else NotFound", del, deleteGone),
		promise("delete/missing", "deleting a name that does not exist is NotFound or no error", sdk.CanDelete, deleteMissing),
		promise("delete/neighbours", "a delete takes no other secret with it, alike in name or not", del, deleteNeighbours),
		promise("put/field-siblings", "a write of one field of a document keeps the others", putGet, putFieldSiblings).with(givenSibling),
		promise("delete/field-siblings", "a delete of one field of a document keeps the others", del, deleteFieldSiblings).with(givenSibling),
		promise("delete/purge", "a purged secret is NotFound when the call returns, and beyond recovery", del|sdk.CanPurge, deletePurge),
		promise("delete/window", "a secret deleted with a recovery window is recoverable for at least that long", del|sdk.CanDeleteWindow, deleteWindow),
		promise("delete/denied", "deleting a name that the backend refuses is PermissionDenied", sdk.CanDelete, deleteDenied).with(givenDenied),
	}
}

func deleteGone(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	r, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name})
	if err != nil {
		return in("delete", err)
	}
	_, err = t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if r.Recoverable {
		return refused("get of a secret that can be restored", err, sdk.FailedPrecondition)
	}
	return refused("get of a secret that is gone", err, sdk.NotFound)
}

func deleteMissing(ctx context.Context, t *Target) error {
	_, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: t.name()})
	return refused("delete of a missing name", err, sdk.NotFound, sdk.OK)
}

func deleteNeighbours(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	others := []string{t.named(name + "x"), t.named(name + "-x"), t.name()}
	values := make([]sdk.Sensitive, len(others))
	for i, n := range others {
		if values[i], _, err = t.write(ctx, n); err != nil {
			return err
		}
	}
	if _, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name}); err != nil {
		return in("delete", err)
	}
	for i, n := range others {
		if err := t.holds(ctx, n, values[i]); err != nil {
			return fmt.Errorf("after delete %q: %w", name, err)
		}
	}
	return nil
}

func putFieldSiblings(ctx context.Context, t *Target) error {
	return t.besideField(ctx, func(name string) error {
		_, _, err := t.write(ctx, name)
		return err
	})
}

func deleteFieldSiblings(ctx context.Context, t *Target) error {
	return t.besideField(ctx, func(name string) error {
		_, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name})
		return in("delete", err)
	})
}

// besideField changes one field of a document that has another, and reads the other.
func (t *Target) besideField(ctx context.Context, change func(name string) error) error {
	sibling, err := t.Sibling(ctx)
	if err != nil {
		return in("open the sibling", err)
	}
	defer sibling.Close(ctx)
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	value := t.value()
	if _, err := sibling.Put(ctx, sdk.PutRequest{Name: name, Value: value}); err != nil {
		return in("put another field", err)
	}
	if err := change(name); err != nil {
		return err
	}
	if err := t.holdsIn(ctx, sibling, name, value); err != nil {
		return fmt.Errorf("another field: %w", err)
	}
	return nil
}

func deletePurge(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	r, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name, Purge: true})
	if err != nil {
		return in("purge", err)
	}
	if r.Recoverable {
		return errors.New("purge: the answer says that the secret can be restored")
	}
	_, err = t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err := refused("get of a purged secret", err, sdk.NotFound); err != nil {
		return err
	}
	if !t.Store.Can().Has(sdk.CanRestore) {
		return nil
	}
	err = t.Store.Restore(ctx, sdk.RestoreRequest{Name: name})
	return refused("restore of a purged secret", err, sdk.NotFound)
}

func deleteWindow(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	asked := time.Now()
	r, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name, RecoveryWindow: recoveryWindow})
	if err != nil {
		return in("delete with a recovery window", err)
	}
	if !r.Recoverable {
		return errors.New("delete with a recovery window: the answer says that the secret is beyond recovery")
	}
	// A minute of grace: the backend's clock is its own.
	if !r.Until.IsZero() && r.Until.Before(asked.Add(recoveryWindow-time.Minute)) {
		return fmt.Errorf("delete with a recovery window of %v: recoverable for %v", recoveryWindow, r.Until.Sub(asked))
	}
	return nil
}

func deleteDenied(ctx context.Context, t *Target) error {
	_, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: t.Denied})
	return refused("delete of a denied name", err, sdk.PermissionDenied)
}

func restoreChecks() []Check {
	return []Check{
		promise("restore/undoes", "Restore undoes a delete: the value is the one before", putGet|sdk.CanDelete|sdk.CanRestore, restoreUndoes),
		promise("restore/live", "restoring a secret that is not deleted is no error and changes nothing", putGet|sdk.CanRestore, restoreLive),
		promise("restore/missing", "restoring a name that does not exist is NotFound", sdk.CanRestore, restoreMissing),
	}
}

func restoreUndoes(ctx context.Context, t *Target) error {
	name, value, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	r, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name})
	if err != nil {
		return in("delete", err)
	}
	if !r.Recoverable {
		return errors.New("delete: the answer says that the secret is beyond recovery, though the store can restore")
	}
	if err := t.Store.Restore(ctx, sdk.RestoreRequest{Name: name}); err != nil {
		return in("restore", err)
	}
	return t.holds(ctx, name, value)
}

func restoreLive(ctx context.Context, t *Target) error {
	name, value, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	if err := t.Store.Restore(ctx, sdk.RestoreRequest{Name: name}); err != nil {
		return in("restore of a live secret", err)
	}
	return t.holds(ctx, name, value)
}

func restoreMissing(ctx context.Context, t *Target) error {
	err := t.Store.Restore(ctx, sdk.RestoreRequest{Name: t.name()})
	return refused("restore of a missing name", err, sdk.NotFound)
}
