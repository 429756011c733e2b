package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// maxLabels bounds a secret's description and labels together, in bytes.
const maxLabels = 64 << 10

func labelSize(description string, labels map[string]string) int {
	n := len(description)
	for k, v := range labels {
		n += len(k) + len(v)
	}
	return n
}

// Put adds a version, or creates the secret. A plain Put to a deleted secret makes it live again with one version more, as
// Vault does. Versions beyond the settings' number are dropped, the oldest first.
func (s *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if err := sdk.CheckValue(r.Value); err != nil {
		return sdk.PutResult{}, classify("put", r.Name, err)
	}
	if n := labelSize(r.Description, r.Labels); n > maxLabels {
		return sdk.PutResult{}, sdk.Errorf(sdk.InvalidArgument, "put %q: description and labels of %d bytes are over the limit of %d", r.Name, n, maxLabels)
	}
	var made revision
	err := s.file.update(ctx, func(d *document) (changed bool, err error) {
		made, changed, err = s.put(d, r)
		return changed, err
	})
	if err != nil {
		return sdk.PutResult{}, classify("put", r.Name, err)
	}
	return sdk.PutResult{Version: made.id()}, nil
}

func (s *store) put(d *document, r sdk.PutRequest) (made revision, changed bool, err error) {
	now := s.time()
	d.sweep(now)
	rec, exists := d.Secrets[r.Name]
	if v, ok := rec.repeated(r); ok {
		return v, false, nil
	}
	if err := rec.allows(r.If, exists); err != nil {
		return revision{}, false, err
	}
	made = revision{Number: d.Floor + 1, Created: now, Once: r.IdempotencyKey, Size: r.Value.Len(), Value: r.Value}
	if exists {
		made.Number = rec.current().Number + 1
	} else {
		rec = record{Description: r.Description, Labels: maps.Clone(r.Labels), Created: now}
	}
	versions := append(slices.Clip(rec.Versions), made)
	rec.Versions = versions[max(0, len(versions)-s.maxVersions):]
	rec.Until = time.Time{}
	d.Secrets[r.Name] = rec
	return made, true, nil
}

// repeated gives the version that the same Put has made before.
func (r record) repeated(p sdk.PutRequest) (revision, bool) {
	if p.IdempotencyKey == "" || r.deleted() {
		return revision{}, false
	}
	for _, v := range r.Versions {
		if v.Once == p.IdempotencyKey && v.Value.Equal(p.Value) {
			return v, true
		}
	}
	return revision{}, false
}

// allows decides a Put's precondition.
func (r record) allows(p sdk.Precondition, exists bool) error {
	switch {
	case p.IsZero(), p.Absent() && !exists:
		return nil
	case !exists:
		return sdk.Errorf(sdk.Aborted, "no such secret, and version %q was to be current", p.Version())
	case r.deleted():
		return sdk.Errorf(sdk.FailedPrecondition, "deleted; it can be restored until %s", r.Until.Format(time.RFC3339))
	case p.Absent():
		return sdk.Errorf(sdk.AlreadyExists, "exists")
	case p.Version() != r.current().id():
		return sdk.Errorf(sdk.Aborted, "version %q was to be current, and %q is", p.Version(), r.current().id())
	}
	return nil
}

// Delete makes a secret unreadable but restorable for the time asked, or else the settings' time. The time of one that is
// deleted already is only ever made longer. With purge, or a time of zero in the settings, it is gone from the file at once.
func (s *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	var out sdk.DeleteResult
	err := s.file.update(ctx, func(d *document) (bool, error) {
		now := s.time()
		d.sweep(now)
		rec, err := d.find(r.Name, now, false)
		if err != nil {
			return false, err
		}
		window := r.RecoveryWindow
		out = sdk.DeleteResult{Recoverable: true, Until: rec.Until}
		if window == 0 && rec.deleted() && !r.Purge {
			return false, nil
		}
		if window == 0 {
			window = s.recovery
		}
		if r.Purge || window == 0 {
			out = sdk.DeleteResult{}
			d.remove(r.Name)
			return true, nil
		}
		until := now.Add(window)
		if !until.After(rec.Until) {
			return false, nil
		}
		out.Until, rec.Until = until, until
		d.Secrets[r.Name] = rec
		return true, nil
	})
	if err != nil {
		return sdk.DeleteResult{}, classify("delete", r.Name, err)
	}
	return out, nil
}

// Restore brings a deleted secret back with its versions.
func (s *store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	err := s.file.update(ctx, func(d *document) (bool, error) {
		rec, err := d.find(r.Name, s.time(), false)
		if err != nil || !rec.deleted() {
			return false, err
		}
		rec.Until = time.Time{}
		d.Secrets[r.Name] = rec
		return true, nil
	})
	if err != nil {
		return classify("restore", r.Name, err)
	}
	return nil
}

// time is now as the file keeps it.
func (s *store) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }
