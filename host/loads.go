package host

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/host/internal/cache"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// read finds the cache entry that answers a reference. Keys are one text of kind, place, name and version: bytes that no
// name may hold separate them.
func (h *Host) read(ref refs.Ref) (*reading, error) {
	switch ref.Kind {
	case refs.Secret:
		if refs.IsSource(ref.Store) {
			return h.readSource(ref), nil
		}
		return h.readStore(ref)
	case refs.Environ:
		return h.readEnviron(ref)
	case refs.Decrypt:
		m, err := h.member(ref.Store)
		if err != nil {
			return nil, located(ref, err)
		}
		return h.entry(ref, "", key("decrypt", ref.Store, ref.Ciphertext), &m.policy, func(ctx context.Context) (*Value, error) {
			return m.decrypt(ctx, "", []byte(ref.Ciphertext))
		}), nil
	case refs.OIDC:
		return h.entry(ref, "", key("oidc", ref.Store, ref.Name), &h.sourcePolicy, func(ctx context.Context) (*Value, error) {
			s, err := h.sources.OIDC(ctx, ref.Store, ref.Name)
			return valueOf("oidc", ref.Name, s), err
		}), nil
	}
	return nil, sdk.Errorf(sdk.Internal, "reference of kind %d", ref.Kind)
}

func key(kind string, parts ...string) string { return kind + "\x00" + strings.Join(parts, "\x00") }

// entry makes a reading over the cache's entry of a key.
func (h *Host) entry(ref refs.Ref, pointer, key string, p *cache.Policy, load func(ctx context.Context) (*Value, error)) *reading {
	e := h.cache.Entry(key, p, func(ctx context.Context) (cache.Loaded[*Value], error) {
		v, err := load(ctx)
		if err != nil {
			return cache.Loaded[*Value]{}, err
		}
		return loaded(v), nil
	})
	r := &reading{ref: ref, pointer: pointer, entry: e}
	if pointer != "" {
		e.OnDrop(func() { r.field.Store(nil) }) // the selected field counts with its entry, and goes with it
	}
	return r
}

func valueOf(store, name string, s sdk.Secret) *Value {
	return &Value{Sensitive: s.Value, Store: store, Name: name, Version: s.Version, ReadAt: time.Now(), Expires: s.Expires}
}

func (h *Host) readSource(ref refs.Ref) *reading {
	return h.entry(ref, ref.Pointer, key("source", ref.Store, ref.Name), &h.sourcePolicy, func(ctx context.Context) (*Value, error) {
		s, err := h.sources.Read(ctx, ref.Store, ref.Name)
		return valueOf(ref.Store, ref.Name, s), err
	})
}

func (h *Host) readStore(ref refs.Ref) (*reading, error) {
	m, err := h.member(ref.Store)
	if err != nil {
		return nil, located(ref, err)
	}
	name, pointer := ref.Name, ref.Pointer
	switch {
	case m.cfg.CiphertextFrom != "":
		if ref.Version != "" {
			return nil, sdk.Errorf(sdk.Unimplemented, "%s: store %s decrypts (ciphertext_from) and has no versions", ref, ref.Store)
		}
		return h.entry(ref, pointer, key("ciphertext", ref.Store, name), &m.policy, func(ctx context.Context) (*Value, error) {
			return h.decryptNamed(ctx, m, name)
		}), nil
	case m.cfg.Document != "":
		name, pointer = m.cfg.Document, "/"+escapePointer(ref.Name)+pointer
	}
	version := ref.Version
	return h.entry(ref, pointer, secretKey(m.name, name, version), &m.policy, func(ctx context.Context) (*Value, error) {
		s, err := m.store.Refresh(ctx, sdk.GetRequest{Name: name, Version: version})
		return valueOf(m.name, name, s), err
	}), nil
}

func secretKey(store, name, version string) string { return key("secret", store, name, version) }

// escapePointer writes one segment of a JSON Pointer (RFC 6901, section 3).
func escapePointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// readEnviron answers LiteLLM's os.environ/NAME: the default store for the names it hosts, else the environment. With
// fallback: env the environment also answers a name that the store says does not exist, and only then.
func (h *Host) readEnviron(ref refs.Ref) (*reading, error) {
	cfg := h.cfg.References
	hosted := cfg.DefaultStore != "" && (cfg.HostedNames == nil || h.hosted[ref.Name])
	env := refs.Ref{Kind: refs.Secret, Store: "env", Name: ref.Name}
	if !hosted {
		r := h.readSource(env)
		r.ref = ref
		return r, nil
	}
	stored, err := h.read(refs.Ref{Kind: refs.Secret, Store: cfg.DefaultStore, Name: ref.Name})
	if err != nil {
		return nil, err
	}
	stored.ref = ref
	if cfg.Fallback != "env" {
		return stored, nil
	}
	m := h.stores()[cfg.DefaultStore]
	return h.entry(ref, "", key("environ", ref.Name), &m.policy, func(ctx context.Context) (*Value, error) {
		v, err := stored.value(ctx)
		if sdk.CodeOf(err) != sdk.NotFound {
			return v, err
		}
		s, envErr := h.sources.Read(ctx, "env", ref.Name)
		if envErr != nil {
			return nil, err
		}
		h.fellBack(ref.Name)
		return valueOf("env", ref.Name, s), nil
	}), nil
}

// fellBack logs once for each name that the environment answered in place of the store.
func (h *Host) fellBack(name string) {
	if _, again := h.fallbacks.LoadOrStore(name, true); !again {
		h.log.Warn("the store has no such secret; the environment answers (references.fallback)",
			"store", h.cfg.References.DefaultStore, "name", name)
	}
}

// decryptNamed reads the ciphertext of a name where ciphertext_from says, and decrypts it: base64, as an environment
// variable holds it, or the bytes themselves.
func (h *Host) decryptNamed(ctx context.Context, m *member, name string) (*Value, error) {
	from, err := h.read(refs.Ref{Kind: refs.Secret, Store: m.cfg.CiphertextFrom, Name: name})
	if err != nil {
		return nil, err
	}
	c, err := from.value(ctx)
	if err != nil {
		return nil, err
	}
	ciphertext := c.Reveal()
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(ciphertext))); err == nil {
		ciphertext = raw
	}
	return m.decrypt(ctx, name, ciphertext)
}

// decrypt has the store decrypt. An empty plaintext is no secret.
func (m *member) decrypt(ctx context.Context, name string, ciphertext []byte) (*Value, error) {
	d, err := m.store.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: ciphertext})
	if err != nil {
		return nil, err
	}
	if d.Plaintext.IsZero() {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "store %s: the ciphertext holds nothing", m.name)
	}
	return &Value{Sensitive: d.Plaintext, Store: m.name, Name: name, Version: d.Key, ReadAt: time.Now()}, nil
}

func asError(err error) (*sdk.Error, bool) { return errors.AsType[*sdk.Error](err) }
