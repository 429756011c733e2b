package main

import (
	"bytes"
	"context"
	"encoding/json"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// putDocument writes a value as the whole document. It asks the server only once when all is well; what a refusal was
// about is read afterwards.
func (st *store) putDocument(ctx context.Context, r sdk.PutRequest) (int, error) {
	data := json.RawMessage(bytes.TrimSpace(r.Value.Reveal()))
	if !utf8.Valid(data) || !json.Valid(data) || data[0] != '{' {
		return 0, sdk.Errorf(sdk.InvalidArgument, "put %q: this store keeps JSON objects as documents; set field to keep plain values", r.Name)
	}
	cas, err := expected(r)
	if err != nil {
		return 0, err
	}
	v, err := st.write(ctx, "put", r.Name, data, cas)
	if sdk.CodeOf(err) != sdk.InvalidArgument || st.s.KV == 1 {
		return v, err
	}
	d, readErr := st.read(ctx, "put", r.Name, "")
	switch {
	case readErr != nil:
		return 0, readErr
	case r.If.IsZero(): // a mount may demand check-and-set of every write
		return st.swap(ctx, "put", r.Name, func(document) (json.RawMessage, error) { return data, nil })
	case *cas == d.version:
		return 0, err
	case r.If.Absent() && d.state == sdk.StateDestroyed: // nothing is left but the number
		return st.write(ctx, "put", r.Name, data, &d.version)
	case r.If.Absent():
		return 0, present(r.Name, d)
	}
	return 0, sdk.Errorf(sdk.Aborted, "put %q: the current version is %d, not %d", r.Name, d.version, *cas)
}

// expected gives the check-and-set version of a precondition; nil for none.
func expected(r sdk.PutRequest) (*int, error) {
	if r.If.IsZero() {
		return nil, nil
	}
	if r.If.Absent() {
		return new(int), nil
	}
	n, err := number("put", r.Name, r.If.Version())
	return &n, err
}

// present is why a Put that may only create does not.
func present(name string, d document) error {
	if err := d.alive("put", name); err != nil {
		return err
	}
	return sdk.Errorf(sdk.AlreadyExists, "put %q: it exists, at version %d", name, d.version)
}
