package host

import (
	"context"
	"errors"
	"iter"

	"github.com/keyway-dev/keyway/sdk"
)

// Store is a configured store by its name. Its methods ask the backend; what they change is forgotten by the cache at
// once. They refuse what the store's configuration does not allow (PermissionDenied) and what its provider cannot do
// (Unimplemented). All are safe for concurrent use.
type Store struct {
	h *Host
	m *member
}

// Store gives a configured store; NotFound when there is none of that name.
func (h *Host) Store(name string) (*Store, error) {
	m, err := h.member(name)
	if err != nil {
		return nil, err
	}
	return &Store{h, m}, nil
}

// Name is the store's name in the configuration.
func (s *Store) Name() string { return s.m.name }

// Can tells what the store can be used for. It may start the plugin.
func (s *Store) Can(ctx context.Context) (sdk.Capabilities, error) { return s.m.store.Can(ctx) }

// Reach tells which endpoints and files the store touches with its settings; nil where its provider does not tell. It may
// start the plugin, and asks no backend.
func (s *Store) Reach(ctx context.Context) (*sdk.Reach, error) { return s.m.store.Reach(ctx) }

// Check logs in at the backend and tells as whom. It changes nothing.
func (s *Store) Check(ctx context.Context) (sdk.Report, error) { return s.m.store.Check(ctx) }

// Get reads a secret from the backend, past the cache. In a store with a document, name is a field of it.
func (s *Store) Get(ctx context.Context, name, version string) (*Value, error) {
	if s.m.cfg.Document != "" {
		return s.getField(ctx, name, version)
	}
	if err := checkNames(name, version); err != nil {
		return nil, err
	}
	secret, err := s.m.store.Get(ctx, sdk.GetRequest{Name: name, Version: version})
	if err != nil {
		return nil, err
	}
	return valueOf(s.m.name, name, secret), nil
}

func checkNames(name, version string) error {
	if err := sdk.CheckName(name); err != nil {
		return err
	}
	return sdk.CheckVersion(version)
}

// Stat tells about a secret without its value.
func (s *Store) Stat(ctx context.Context, name string) (sdk.Meta, error) {
	if err := s.plain("stat"); err != nil {
		return sdk.Meta{}, err
	}
	if err := sdk.CheckName(name); err != nil {
		return sdk.Meta{}, err
	}
	return s.m.store.Stat(ctx, sdk.StatRequest{Name: name})
}

// List gives the live secrets whose names begin with prefix, page by page as the loop goes on. It ends with the first
// error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[sdk.Meta, error] {
	return func(yield func(sdk.Meta, error) bool) {
		if err := errors.Join(s.plain("list"), sdk.CheckPrefix(prefix)); err != nil {
			yield(sdk.Meta{}, err)
			return
		}
		r := sdk.ListRequest{Prefix: prefix, PageSize: sdk.MaxPage}
		for {
			page, err := s.m.store.List(ctx, r)
			if err != nil {
				yield(sdk.Meta{}, err)
				return
			}
			for _, m := range page.Items {
				if !yield(m, nil) {
					return
				}
			}
			if r.PageToken = page.Next; r.PageToken == "" {
				return
			}
		}
	}
}

// Versions gives the versions of a secret, newest first, as List does.
func (s *Store) Versions(ctx context.Context, name string) iter.Seq2[sdk.Version, error] {
	return func(yield func(sdk.Version, error) bool) {
		if err := errors.Join(s.plain("versions"), sdk.CheckName(name)); err != nil {
			yield(sdk.Version{}, err)
			return
		}
		r := sdk.VersionsRequest{Name: name, PageSize: sdk.MaxPage}
		for {
			page, err := s.m.store.Versions(ctx, r)
			if err != nil {
				yield(sdk.Version{}, err)
				return
			}
			for _, v := range page.Versions {
				if !yield(v, nil) {
					return
				}
			}
			if r.PageToken = page.Next; r.PageToken == "" {
				return
			}
		}
	}
}

// Put writes a secret. In a store with a document it changes one field of it, which needs a store that can write with
// IfVersion, so that no other field is lost.
func (s *Store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if err := errors.Join(sdk.CheckName(r.Name), sdk.CheckVersion(r.If.Version()), sdk.CheckValue(r.Value)); err != nil {
		return sdk.PutResult{}, err
	}
	if s.m.cfg.Document != "" {
		return s.putField(ctx, element{s.m.cfg.Document, "/" + escapePointer(r.Name)}, r)
	}
	return s.put(ctx, r)
}

// put writes a secret of the backend's. One that is deleted and can be brought back takes no new value in some backends; it
// is brought back first there.
func (s *Store) put(ctx context.Context, r sdk.PutRequest) (out sdk.PutResult, err error) {
	defer s.h.forget(s.m.name, r.Name)
	err = s.change(ctx, "put", r.Name, func(ctx context.Context) (string, error) {
		out, err = s.m.store.Put(ctx, r)
		if r.If.IsZero() && sdk.CodeOf(err) == sdk.FailedPrecondition && s.m.store.Restore(ctx, sdk.RestoreRequest{Name: r.Name}) == nil {
			out, err = s.m.store.Put(ctx, r)
		}
		return out.Version, err
	})
	return out, err
}

// Delete removes a secret in the safest way that the backend has, unless asked to purge it. A secret that does not exist
// is deleted already: no error.
func (s *Store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	if err := errors.Join(s.plain("delete"), sdk.CheckName(r.Name)); err != nil {
		return sdk.DeleteResult{}, err
	}
	defer s.h.forget(s.m.name, r.Name)
	var out sdk.DeleteResult
	err := s.change(ctx, "delete", r.Name, func(ctx context.Context) (version string, err error) {
		out, err = s.m.store.Delete(ctx, r)
		return "", err
	})
	if sdk.CodeOf(err) == sdk.NotFound {
		return sdk.DeleteResult{}, nil
	}
	return out, err
}

// Restore brings a deleted secret back.
func (s *Store) Restore(ctx context.Context, name string) error {
	if err := errors.Join(s.plain("restore"), sdk.CheckName(name)); err != nil {
		return err
	}
	defer s.h.forget(s.m.name, name)
	return s.change(ctx, "restore", name, func(ctx context.Context) (string, error) {
		return "", s.m.store.Restore(ctx, sdk.RestoreRequest{Name: name})
	})
}

// Encrypt encrypts with a key that stays in the backend; an empty key means that of the settings.
func (s *Store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	if err := errors.Join(sdk.CheckVersion(r.Key), sdk.CheckValue(r.Plaintext)); err != nil {
		return sdk.EncryptResult{}, err
	}
	return s.m.store.Encrypt(ctx, r)
}

// Decrypt undoes Encrypt.
func (s *Store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	if err := sdk.CheckVersion(r.Key); err != nil {
		return sdk.DecryptResult{}, err
	}
	return s.m.store.Decrypt(ctx, r)
}

// plain refuses an operation that has no meaning on the fields of a document.
func (s *Store) plain(op string) error {
	if s.m.cfg.Document == "" {
		return nil
	}
	return sdk.Errorf(sdk.Unimplemented, "store %s: %s: its names are fields of the document %q, which have none of their own", s.m.name, op, s.m.cfg.Document)
}
