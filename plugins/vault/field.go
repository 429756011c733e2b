package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

type fields map[string]json.RawMessage

// fields splits a document; one that is not there has none.
func (d document) fields(op, name string) (fields, error) {
	f := fields{}
	if d.data != nil && json.Unmarshal(d.data, &f) != nil {
		return nil, sdk.Errorf(sdk.Internal, "%s %q: the document is not a JSON object", op, name)
	}
	for k, v := range f {
		if !isSet(v) {
			delete(f, k) // null is how merge patch says that a field is absent
		}
	}
	return f, nil
}

// field gives the value of the store's field: text as it is, other JSON as JSON.
func (st *store) field(op, name string, d document) (value sdk.Sensitive, mediaType string, err error) {
	f, err := d.fields(op, name)
	if err != nil {
		return sdk.Sensitive{}, "", err
	}
	raw, ok := f[st.s.Field]
	if !ok {
		return sdk.Sensitive{}, "", sdk.Errorf(sdk.NotFound, "%s %q: the document has no field %q", op, name, st.s.Field)
	}
	if raw[0] != '"' {
		return sdk.NewSensitive(raw), mediaJSON, nil
	}
	var text string
	switch err := json.Unmarshal(raw, &text); {
	case err != nil:
		return sdk.Sensitive{}, "", sdk.Errorf(sdk.Internal, "%s %q: field %q is not JSON", op, name, st.s.Field)
	case text == "":
		return sdk.Sensitive{}, "", sdk.Errorf(sdk.FailedPrecondition, "%s %q: field %q is empty", op, name, st.s.Field)
	}
	return sdk.SensitiveString(text), "", nil
}

// putField writes one field and keeps its siblings: by merge patch, which Vault does under its own lock, or else by
// reading and check-and-set. Merge patch needs an existing document and the capability "patch".
func (st *store) putField(ctx context.Context, r sdk.PutRequest) (int, error) {
	if !utf8.Valid(r.Value.Reveal()) {
		return 0, sdk.Errorf(sdk.InvalidArgument, "put %q: Vault keeps text, and this value is not UTF-8", r.Name)
	}
	text, err := json.Marshal(string(r.Value.Reveal()))
	if err != nil {
		return 0, sdk.Errorf(sdk.Internal, "put %q: the value has no JSON form", r.Name)
	}
	cas, err := expected(r)
	if err != nil {
		return 0, err
	}
	var refusal error
	if r.If.IsZero() && !st.noPatch.Load() {
		var v int
		if v, refusal = st.patch(ctx, r.Name, text); refusal == nil {
			return v, nil
		}
	}
	v, err := st.swap(ctx, "put", r.Name, func(d document) (json.RawMessage, error) {
		f, err := d.fields("put", r.Name)
		if err != nil {
			return nil, err
		}
		switch _, exists := f[st.s.Field]; {
		case r.If.Absent() && (exists || d.state == sdk.StateDeleted):
			return nil, present(r.Name, d)
		case cas != nil && !r.If.Absent() && *cas != d.version:
			return nil, sdk.Errorf(sdk.Aborted, "put %q: the current version is %d, not %d", r.Name, d.version, *cas)
		}
		f[st.s.Field] = text
		return json.Marshal(f)
	})
	if c := sdk.CodeOf(refusal); err == nil && (c == sdk.PermissionDenied || c == sdk.Unimplemented) {
		st.noPatch.Store(true)
	}
	return v, err
}

// patch answers any refusal as an error, and the caller then writes in the other way; that also finds out about a token
// that has ended.
func (st *store) patch(ctx context.Context, name string, text json.RawMessage) (int, error) {
	data, err := json.Marshal(fields{st.s.Field: text})
	if err != nil {
		return 0, err
	}
	a, err := st.do(ctx, call{op: "put", object: name, method: http.MethodPatch, path: st.path("data", name), body: kvBody{Data: data}, once: true})
	if err != nil {
		return 0, err
	}
	var v versionInfo
	if json.Unmarshal(a.Data, &v) != nil || v.Deletion != "" || v.Destroyed { // the body of a 404
		return 0, sdk.Errorf(sdk.NotFound, "put %q: nothing to patch", name)
	}
	return written("put", name, a)
}

// deleteField takes the field out of the document, and deletes the document when no other field is left. It deletes the
// very version that it saw: a sibling written meanwhile makes a newer one, which stays, and the loop looks again.
func (st *store) deleteField(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	dropped, at := 0, -1
	var refusal error
	for {
		d, err := st.read(ctx, "delete", r.Name, "")
		if err != nil {
			return sdk.DeleteResult{}, err
		}
		if d.state == sdk.StateDeleted { // by us, or before
			return sdk.DeleteResult{Recoverable: !r.Purge}, st.forget(ctx, r, d.version)
		}
		if d.version == at {
			return sdk.DeleteResult{}, refusal
		}
		f, err := d.fields("delete", r.Name)
		if err != nil {
			return sdk.DeleteResult{}, err
		}
		_, exists := f[st.s.Field]
		delete(f, st.s.Field)
		switch {
		case !exists && dropped > 0:
			return sdk.DeleteResult{}, st.forget(ctx, r, dropped)
		case !exists:
			return sdk.DeleteResult{}, sdk.Errorf(sdk.NotFound, "delete %q: no such secret", r.Name)
		case len(f) == 0:
			if err := st.versions(ctx, "delete", "delete", r.Name, []int{d.version}); err != nil {
				return sdk.DeleteResult{}, err
			}
			dropped = d.version
			continue
		}
		rest, err := json.Marshal(f)
		if err != nil {
			return sdk.DeleteResult{}, sdk.Errorf(sdk.Internal, "delete %q: %w", r.Name, err)
		}
		if _, refusal = st.write(ctx, "delete", r.Name, rest, &d.version); refusal == nil {
			return sdk.DeleteResult{}, st.forget(ctx, r, d.version)
		}
		if sdk.CodeOf(refusal) != sdk.InvalidArgument {
			return sdk.DeleteResult{}, refusal
		}
		at = d.version
	}
}

// forget destroys, for a purge, all versions up to the last that held the field. Their siblings live on in the newer ones.
func (st *store) forget(ctx context.Context, r sdk.DeleteRequest, last int) error {
	if !r.Purge {
		return nil
	}
	h, err := st.history(ctx, "delete", r.Name)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(h.ids(), func(v int) bool { return v > last })
	return st.versions(ctx, "delete", "destroy", r.Name, old)
}
