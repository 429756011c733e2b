package sdktest

import (
	"context"

	"github.com/keyway-dev/keyway/sdk"
)

func absentChecks() []Check {
	return []Check{
		promise("absent/methods", "what a store does not claim is refused as Unimplemented", 0, absentMethods),
		promise("absent/fields", "a field whose refinement a store does not claim is refused as Unimplemented", 0, absentFields),
	}
}

// attempt is a call that needs a capability.
type attempt struct {
	can  sdk.Capabilities
	call func(ctx context.Context) error
}

func absentMethods(ctx context.Context, t *Target) error {
	st, name, value := t.Store, t.Scratch+"kw"+random(), t.value()
	return t.unclaimed(ctx, []attempt{
		{sdk.CanGet, func(ctx context.Context) error { _, err := st.Get(ctx, sdk.GetRequest{Name: name}); return err }},
		{sdk.CanGetBatch, func(ctx context.Context) error {
			_, err := st.GetBatch(ctx, sdk.BatchRequest{Names: []string{name}})
			return err
		}},
		{sdk.CanStat, func(ctx context.Context) error { _, err := st.Stat(ctx, sdk.StatRequest{Name: name}); return err }},
		{sdk.CanList, func(ctx context.Context) error {
			_, err := st.List(ctx, sdk.ListRequest{Prefix: name, PageSize: 1})
			return err
		}},
		{sdk.CanVersions, func(ctx context.Context) error {
			_, err := st.Versions(ctx, sdk.VersionsRequest{Name: name, PageSize: 1})
			return err
		}},
		{sdk.CanPut, func(ctx context.Context) error {
			_, err := st.Put(ctx, sdk.PutRequest{Name: name, Value: value})
			return err
		}},
		{sdk.CanDelete, func(ctx context.Context) error {
			_, err := st.Delete(ctx, sdk.DeleteRequest{Name: name})
			return err
		}},
		{sdk.CanRestore, func(ctx context.Context) error { return st.Restore(ctx, sdk.RestoreRequest{Name: name}) }},
		{sdk.CanEncrypt, func(ctx context.Context) error {
			_, err := st.Encrypt(ctx, sdk.EncryptRequest{Plaintext: value})
			return err
		}},
		{sdk.CanDecrypt, func(ctx context.Context) error {
			_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte("x")})
			return err
		}},
		{sdk.CanWatch, func(ctx context.Context) error {
			return st.Watch(ctx, func(sdk.Event) error { return nil })
		}},
	})
}

func absentFields(ctx context.Context, t *Target) error {
	st, name, value := t.Store, t.Scratch+"kw"+random(), t.value()
	put := func(r sdk.PutRequest) func(context.Context) error {
		r.Name, r.Value = name, value
		return func(ctx context.Context) error { _, err := st.Put(ctx, r); return err }
	}
	del := func(r sdk.DeleteRequest) func(context.Context) error {
		r.Name = name
		return func(ctx context.Context) error { _, err := st.Delete(ctx, r); return err }
	}
	return t.unclaimed(ctx, []attempt{
		{sdk.CanGetVersion, func(ctx context.Context) error {
			_, err := st.Get(ctx, sdk.GetRequest{Name: name, Version: "1"})
			return err
		}},
		{sdk.CanPutIfAbsent, put(sdk.PutRequest{If: sdk.IfAbsent()})},
		{sdk.CanPutIfVersion, put(sdk.PutRequest{If: sdk.IfVersion("1")})},
		{sdk.CanPutLabels, put(sdk.PutRequest{Labels: map[string]string{"a": "b"}})},
		{sdk.CanPurge, del(sdk.DeleteRequest{Purge: true})},
		{sdk.CanDeleteWindow, del(sdk.DeleteRequest{RecoveryWindow: recoveryWindow})},
		{sdk.CanAAD, func(ctx context.Context) error {
			_, err := st.Encrypt(ctx, sdk.EncryptRequest{Plaintext: value, AAD: aad})
			return err
		}},
	})
}

// unclaimed makes the calls that the store does not claim.
func (t *Target) unclaimed(ctx context.Context, attempts []attempt) error {
	for _, a := range attempts {
		if t.Store.Can().Has(a.can) {
			continue
		}
		if err := refused(a.can.String()+", which the store does not claim", a.call(ctx), sdk.Unimplemented); err != nil {
			return err
		}
	}
	return nil
}
