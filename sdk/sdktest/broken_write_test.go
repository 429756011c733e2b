package sdktest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// Providers that break a promise of writing, deleting or encrypting.

// changed puts another value than asked.
func (g *good) changed(ctx context.Context, r sdk.PutRequest, change func(string) string) (sdk.PutResult, error) {
	if v := change(string(r.Value.Reveal())); v != "" {
		r.Value = sdk.SensitiveString(v)
	}
	return g.Put(ctx, r)
}

type trims struct{ *good }

func (s *trims) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	return s.changed(ctx, r, strings.TrimSpace)
}

type reencodes struct{ *good }

func (s *reencodes) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	return s.changed(ctx, r, func(v string) string { return strings.ToValidUTF8(v, "\uFFFD") })
}

type truncates struct{ *good }

func (s *truncates) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	return s.changed(ctx, r, func(v string) string { return v[:min(len(v), 64<<10)] })
}

type refusesRepeat struct{ *good }

func (s *refusesRepeat) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if r.IdempotencyKey != "" {
		r.If = sdk.IfAbsent()
		r.IdempotencyKey = ""
	}
	return s.good.Put(ctx, r)
}

type dropsLabels struct{ *good }

func (s *dropsLabels) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	r.Labels, r.Description = nil, ""
	return s.good.Put(ctx, r)
}

type ignoresAbsent struct{ *good }

func (s *ignoresAbsent) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if r.If.Absent() {
		r.If = sdk.Precondition{}
	}
	return s.good.Put(ctx, r)
}

type revives struct{ *good }

func (s *revives) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	out, err := s.good.Put(ctx, r)
	if !errors.Is(err, sdk.FailedPrecondition) {
		return out, err
	}
	if err := s.Restore(ctx, sdk.RestoreRequest{Name: r.Name}); err != nil {
		return sdk.PutResult{}, err
	}
	r.If = sdk.Precondition{}
	return s.good.Put(ctx, r)
}

type ignoresIfVersion struct{ *good }

func (s *ignoresIfVersion) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if !r.If.Absent() {
		r.If = sdk.Precondition{}
	}
	return s.good.Put(ctx, r)
}

type writesLost struct{ *good }

func (s *writesLost) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	out, err := s.good.Put(ctx, r)
	if errors.Is(err, sdk.Aborted) {
		r.If = sdk.Precondition{}
		_, _ = s.good.Put(ctx, r)
	}
	return out, err
}

type tellsValue struct{ *good }

func (s *tellsValue) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	out, err := s.good.Put(ctx, r)
	if errors.Is(err, sdk.AlreadyExists) {
		return out, sdk.Errorf(sdk.AlreadyExists, "put %q: cannot write %s", r.Name, r.Value.Reveal())
	}
	return out, err
}

type deletesNeighbours struct{ *good }

func (s *deletesNeighbours) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	page, err := s.List(ctx, sdk.ListRequest{Prefix: r.Name, PageSize: sdk.MaxPage})
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	for _, m := range page.Items {
		if m.Name == r.Name {
			continue
		}
		if _, err := s.good.Delete(ctx, sdk.DeleteRequest{Name: m.Name}); err != nil {
			return sdk.DeleteResult{}, err
		}
	}
	return s.good.Delete(ctx, r)
}

type ignoresPurge struct{ *good }

func (s *ignoresPurge) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	r.Purge = false
	return s.good.Delete(ctx, r)
}

type ignoresWindow struct{ *good }

func (s *ignoresWindow) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	r.RecoveryWindow = time.Hour
	if r.Purge {
		r.RecoveryWindow = 0
	}
	return s.good.Delete(ctx, r)
}

type restoresAll struct{ *good }

func (s *restoresAll) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	if err := s.good.Restore(ctx, r); !errors.Is(err, sdk.NotFound) {
		return err
	}
	return nil
}

type restoresNothing struct{ *good }

func (s *restoresNothing) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	if _, err := s.Versions(ctx, sdk.VersionsRequest{Name: r.Name, PageSize: 1}); err != nil {
		return err
	}
	return nil
}

type namesKeyVersion struct{ *good }

func (s *namesKeyVersion) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	out, err := s.good.Encrypt(ctx, r)
	out.Key += "/versions/1"
	return out, err
}

type replacesKey struct{ *good }

func (s *replacesKey) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	r.Key = ""
	return s.good.Encrypt(ctx, r)
}

type ignoresAAD struct{ *good }

func (s *ignoresAAD) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	r.AAD = nil
	return s.good.Encrypt(ctx, r)
}

func (s *ignoresAAD) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	r.AAD = nil
	return s.good.Decrypt(ctx, r)
}

type unchecked struct{ *good }

func (s *unchecked) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	out, err := s.good.Decrypt(ctx, r)
	if errors.Is(err, sdk.InvalidArgument) {
		return sdk.DecryptResult{Plaintext: sdk.NewSensitive(slices.Clone(r.Ciphertext))}, nil
	}
	return out, err
}
