package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	kms "cloud.google.com/go/kms/apiv1"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
	"github.com/keyway-dev/keyway/sdk"
)

// store encrypts and decrypts with a key that stays in the service.
type store struct {
	s      Settings
	conn   *gcpauth.Conn
	client *kms.KeyManagementClient
}

var (
	_ sdk.Encrypter = (*store)(nil)
	_ sdk.Decrypter = (*store)(nil)
)

func plugin() *sdk.Plugin {
	compat := gcpauth.Compat()
	maps.Copy(compat, map[string]string{"litellm.system": "google_kms", "litellm.ciphertexts": "env"})
	return sdk.Define(sdk.About{
		Name:    "gcp-kms",
		Version: version,
		Summary: "Google Cloud Key Management Service: encrypts and decrypts with symmetric keys",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/gcp-kms.md",
		Compat:  compat,
	}, open)
}

func open(ctx context.Context, env sdk.Env, s Settings) (*store, error) {
	conn, err := s.connection().Connect(env)
	if err != nil {
		return nil, err
	}
	client, err := kms.NewKeyManagementClient(context.WithoutCancel(ctx), conn.Options()...)
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "open: the client cannot be made: %w", err)
	}
	client.CallOptions = &kms.KeyManagementCallOptions{} // attempts and their time are ours: see call
	return &store{s: s, conn: conn, client: client}, nil
}

// call makes a request, and again where another attempt may mend what it met: none of them changes anything.
func (st *store) call(ctx context.Context, op, object string, attempt func() error) error {
	return gcpauth.Repeat(ctx, func() error { return classify(ctx, op, object, attempt()) })
}

// Check asks what the login may do with the key of the settings, which everybody may ask. One that may do nothing is refused;
// a single permission that is missing is a note.
// https://cloud.google.com/kms/docs/reference/rpc/google.iam.v1
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	var r sdk.Report
	k, err := st.keyOf("check", "")
	if err != nil {
		return r, err
	}
	if r.Identity, err = st.conn.Identity(ctx); err != nil {
		return r, classify(ctx, "check", k.name, err)
	}
	var granted []string
	err = st.call(ctx, "check", k.name, func() error {
		a, err := st.client.TestIamPermissions(ctx, &iampb.TestIamPermissionsRequest{Resource: k.name, Permissions: []string{useToEncrypt, useToDecrypt}})
		granted = a.GetPermissions()
		return err
	})
	switch {
	case sdk.CodeOf(err) == sdk.Unimplemented: // an emulator
		r.Notes = append(r.Notes, "the server does not tell permissions, so the login was accepted and nothing more is known")
		return r, nil
	case err != nil:
		return r, err
	case len(granted) == 0:
		return r, sdk.Errorf(sdk.PermissionDenied, "check %q: needs %s or %s on the key; or there is no such key", k.name, useToEncrypt, useToDecrypt)
	}
	for _, p := range []string{useToEncrypt, useToDecrypt} {
		if !slices.Contains(granted, p) {
			r.Notes = append(r.Notes, fmt.Sprintf("the login has no %s on the key %s", p, k.name))
		}
	}
	return r, nil
}

// Close drops the store's connections.
func (st *store) Close(context.Context) error {
	if err := st.client.Close(); err != nil {
		return sdk.Errorf(sdk.Internal, "close: %w", err)
	}
	return nil
}
