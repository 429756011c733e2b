package host

import (
	"context"
	"errors"

	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// element is one member of a secret that is a JSON document.
type element struct{ document, pointer string }

// PutAt writes one member of a secret that is a JSON document, named by an RFC 6901 pointer ("/key"), and leaves the rest of
// it byte for byte as it is. The document is created where it is missing. The value must be text. IfVersion is about the
// document, IfAbsent about the member.
//
// It needs a store that writes with IfVersion (Unimplemented), so that no other member is lost; while somebody else changes
// the document it tries again, until ctx ends. Errors are those of Put; FailedPrecondition for a secret that is no document,
// InvalidArgument for a pointer or a value that is malformed.
func (s *Store) PutAt(ctx context.Context, pointer string, r sdk.PutRequest) (sdk.PutResult, error) {
	if err := errors.Join(sdk.CheckName(r.Name), sdk.CheckVersion(r.If.Version()), sdk.CheckValue(r.Value)); err != nil {
		return sdk.PutResult{}, err
	}
	at := element{r.Name, pointer}
	if s.m.cfg.Document != "" {
		at = element{s.m.cfg.Document, "/" + escapePointer(r.Name) + pointer}
	}
	if _, err := refs.Set([]byte("{}"), at.pointer, ""); err != nil {
		return sdk.PutResult{}, err
	}
	return s.putField(ctx, at, r)
}

func (s *Store) getField(ctx context.Context, name, version string) (*Value, error) {
	if err := checkNames(name, version); err != nil {
		return nil, err
	}
	secret, err := s.m.store.Get(ctx, sdk.GetRequest{Name: s.m.cfg.Document, Version: version})
	if err != nil {
		return nil, err
	}
	v := valueOf(s.m.name, s.m.cfg.Document, secret)
	r := reading{pointer: "/" + escapePointer(name)}
	if v, err = r.selectFrom(v); err != nil {
		return nil, located(refOf(s.m.name, name), err)
	}
	return v, nil
}

// putField reads the document, changes the member and writes it back if nobody else did meanwhile, until ctx ends.
func (s *Store) putField(ctx context.Context, at element, r sdk.PutRequest) (sdk.PutResult, error) {
	can, err := s.Can(ctx)
	if err != nil {
		return sdk.PutResult{}, err
	}
	if !can.Has(sdk.CanPutIfVersion) {
		return sdk.PutResult{}, sdk.Errorf(sdk.Unimplemented, "store %s: put %q: changing one field of the document %q needs put.if_version, which this store lacks; a plain write could lose other fields", s.m.name, r.Name, at.document)
	}
	for {
		out, err := s.tryField(ctx, at, r)
		lost := sdk.CodeOf(err) == sdk.Aborted || sdk.CodeOf(err) == sdk.AlreadyExists && !r.If.Absent()
		if !lost || r.If.Version() != "" || ctx.Err() != nil {
			return out, err
		}
	}
}

func (s *Store) tryField(ctx context.Context, at element, r sdk.PutRequest) (sdk.PutResult, error) {
	fail := func(c sdk.Code, format string, args ...any) (sdk.PutResult, error) {
		return sdk.PutResult{}, sdk.Errorf(c, "store %s: put %q: %w", s.m.name, r.Name, sdk.Errorf(c, format, args...))
	}
	doc, condition := []byte("{}"), sdk.IfAbsent()
	old, err := s.m.store.Get(ctx, sdk.GetRequest{Name: at.document})
	switch {
	case sdk.CodeOf(err) == sdk.NotFound:
	case err != nil:
		return sdk.PutResult{}, err
	default:
		doc, condition = old.Value.Reveal(), sdk.IfVersion(old.Version)
	}
	if v := r.If.Version(); v != "" && v != old.Version {
		return fail(sdk.Aborted, "the document %q is at version %q, not %q", at.document, old.Version, v)
	}
	if _, err := refs.Select(doc, at.pointer); r.If.Absent() && !errors.Is(err, sdk.NotFound) && !errors.Is(err, sdk.InvalidArgument) {
		return fail(sdk.AlreadyExists, "the document %q has this field", at.document)
	}
	whole, err := refs.Set(doc, at.pointer, string(r.Value.Reveal()))
	if err != nil {
		return fail(sdk.CodeOf(err), "the document %q: %w", at.document, err)
	}
	r.Name, r.Value, r.If = at.document, sdk.NewSensitive(whole), condition
	r.IdempotencyKey = "" // it was for one value, and each try has its own
	return s.put(ctx, r)
}
