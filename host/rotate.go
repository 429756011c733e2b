package host

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// Rotate writes a new value of a secret that exists, and reads it back before it answers: a rotation that cannot be read
// must be known before the old value is given up. Where the store can, it loses against nobody who changed the secret
// meanwhile (Aborted). A secret that does not exist is NotFound.
func (s *Store) Rotate(ctx context.Context, name string, value sdk.Sensitive) (*Value, error) {
	if err := errors.Join(sdk.CheckName(name), sdk.CheckValue(value)); err != nil {
		return nil, err
	}
	old, err := s.Get(ctx, name, "")
	if err != nil {
		return nil, err
	}
	can, err := s.Can(ctx)
	if err != nil {
		return nil, err
	}
	r := sdk.PutRequest{Name: name, Value: value}
	if can.Has(sdk.CanPutIfVersion) && old.Version != "" {
		r.If = sdk.IfVersion(old.Version)
	}
	if _, err := s.Put(ctx, r); err != nil {
		return nil, err
	}
	v, err := s.Get(ctx, name, "")
	if err != nil {
		return nil, sdk.Errorf(sdk.CodeOf(err), "rotate %q: written, but not read back: %w", name, err)
	}
	if !same(v.Sensitive, value) {
		return nil, sdk.Errorf(sdk.Aborted, "rotate %q: written, but another value came back; somebody else wrote too", name)
	}
	return v, nil
}

// same reports whether what a store gives back is what it was given.
func same(back, value sdk.Sensitive) bool {
	return back.Equal(value) || sameJSON(back.Reveal(), value.Reveal())
}

// sameJSON reports whether two texts are the same JSON object: a store of documents spells them its own way.
func sameJSON(a, b []byte) bool {
	var x, y map[string]any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func refOf(store, name string) refs.Ref {
	return refs.Ref{Kind: refs.Secret, Store: store, Name: name}
}
