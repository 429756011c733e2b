package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
)

const attempts = 3 // of a call that another one may mend

const testKey = "projects/acme/locations/europe-west1/keyRings/prod/cryptoKeys/gateway"

// newServer starts a service with the key testKey.
func newServer(t *testing.T) (srv *gcpkms.Server, address string) {
	t.Helper()
	srv, address = gcpkms.Start(t)
	srv.CreateKey(testKey, kmspb.ProtectionLevel_SOFTWARE)
	return srv, address
}

// settings of a store of a fake without TLS and without a login, with changes.
func settings(t *testing.T, address string, more map[string]any) []byte {
	t.Helper()
	m := map[string]any{"key": testKey, "endpoint": "http://" + address, "auth": map[string]any{"none": map[string]any{}}}
	for k, v := range more {
		m[k] = v
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func openStore(t *testing.T, address string, more map[string]any) *store {
	t.Helper()
	o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, address, more))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	st, ok := o.Store.(*store)
	if !ok {
		t.Fatalf("open gave a %T", o.Store)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

func encrypt(t *testing.T, st *store, plaintext string) sdk.EncryptResult {
	t.Helper()
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString(plaintext)})
	if err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	return r
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

func asError(err error) *sdk.Error {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	return &sdk.Error{}
}

// waitFor polls a condition that must come.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	end := time.After(30 * time.Second)
	for !done() {
		select {
		case <-end:
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestCheckNotesWhatTheKeyDoesNotAllow(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	if r, err := st.Check(t.Context()); err != nil || len(r.Notes) != 0 {
		t.Errorf("check with both permissions: notes %q (%v), want none", r.Notes, err)
	}
	srv.Deny(useToEncrypt, testKey)
	r, err := st.Check(t.Context())
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], useToEncrypt) {
		t.Errorf("check without one permission: notes %q (%v), want one that names it", r.Notes, err)
	}
	srv.Deny(useToDecrypt, testKey)
	_, err = st.Check(t.Context())
	wantCode(t, "check without any permission", err, sdk.PermissionDenied)
	if m := err.Error(); !strings.Contains(m, useToEncrypt) || !strings.Contains(m, useToDecrypt) {
		t.Errorf("check without any permission names not both: %v", err)
	}
}

func TestCheckAsksForTheKeyOfAVersion(t *testing.T) {
	_, address := newServer(t)
	st := openStore(t, address, map[string]any{"key": testKey + "/cryptoKeyVersions/1"})
	if r, err := st.Check(t.Context()); err != nil || len(r.Notes) != 0 {
		t.Errorf("check: notes %q (%v), want none", r.Notes, err)
	}
}

func TestCheckIsFineWithAServerThatKnowsNoPermissions(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	srv.Faults.Next(1, fault.Fault{Code: codes.Unimplemented})
	if r, err := st.Check(t.Context()); err != nil || len(r.Notes) != 1 {
		t.Errorf("check: notes %q (%v), want one and no error", r.Notes, err)
	}
}

func TestOpenSendsNothing(t *testing.T) {
	srv, address := newServer(t)
	openStore(t, address, nil)
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}
