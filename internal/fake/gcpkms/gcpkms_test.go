package gcpkms_test

import (
	"context"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
)

const key = "projects/p/locations/global/keyRings/r/cryptoKeys/k"

// start serves a fake with one key and gives a connection to it.
func start(t *testing.T) (*gcpkms.Server, *grpc.ClientConn) {
	t.Helper()
	srv, address := gcpkms.Start(t)
	srv.CreateKey(key, kmspb.ProtectionLevel_SOFTWARE)
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return srv, conn
}

func wantCode(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: %v (%v), want %v", what, got, err, want)
	}
}

func TestChecksumsAreVerifiedIfTheyCome(t *testing.T) {
	_, conn := start(t)
	client := kmspb.NewKeyManagementServiceClient(conn)
	without, err := client.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: []byte("x"), AdditionalAuthenticatedData: []byte("y")})
	if err != nil || without.GetVerifiedPlaintextCrc32C() || without.GetVerifiedAdditionalAuthenticatedDataCrc32C() {
		t.Errorf("encrypt without checksums: %v (%v), want that nothing was verified", without, err)
	}
	wrong := wrapperspb.Int64(1)
	for what, r := range map[string]*kmspb.EncryptRequest{
		"of the plaintext":       {Name: key, Plaintext: []byte("x"), PlaintextCrc32C: wrong},
		"of the additional data": {Name: key, Plaintext: []byte("x"), AdditionalAuthenticatedData: []byte("y"), AdditionalAuthenticatedDataCrc32C: wrong},
	} {
		_, err := client.Encrypt(t.Context(), r)
		wantCode(t, "encrypt with a wrong checksum "+what, err, codes.InvalidArgument)
	}
	_, err = client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key, Ciphertext: without.GetCiphertext(), CiphertextCrc32C: wrong})
	wantCode(t, "decrypt with a wrong checksum", err, codes.InvalidArgument)
}

func TestARotationLeavesTheOldVersionToDecrypt(t *testing.T) {
	srv, conn := start(t)
	client := kmspb.NewKeyManagementServiceClient(conn)
	old, err := client.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	second := srv.AddVersion(key)
	if r, err := client.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: []byte("x")}); err != nil || r.GetName() != second {
		t.Errorf("encrypt after a rotation used %q (%v), want %q", r.GetName(), err, second)
	}
	if d, err := client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key, Ciphertext: old.GetCiphertext()}); err != nil || d.GetUsedPrimary() {
		t.Errorf("decrypt after a rotation: %v (%v), want a version that is not the primary", d, err)
	}
	srv.SetState(old.GetName(), kmspb.CryptoKeyVersion_DESTROYED)
	_, err = client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key, Ciphertext: old.GetCiphertext()})
	wantCode(t, "decrypt with a destroyed version", err, codes.FailedPrecondition)
}

func TestNamesAreLookedAt(t *testing.T) {
	_, conn := start(t)
	client := kmspb.NewKeyManagementServiceClient(conn)
	for name, want := range map[string]codes.Code{
		"":                                 codes.InvalidArgument,
		"k":                                codes.InvalidArgument,
		key + "/":                          codes.InvalidArgument,
		key + "/cryptoKeyVersions/0":       codes.InvalidArgument,
		key + "/cryptoKeyVersions/2":       codes.NotFound,
		strings.TrimSuffix(key, "k") + "l": codes.NotFound,
	} {
		_, err := client.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: name, Plaintext: []byte("x")})
		wantCode(t, "encrypt with "+name, err, want)
	}
	_, err := client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key + "/cryptoKeyVersions/1", Ciphertext: []byte("x")})
	wantCode(t, "decrypt with a version", err, codes.InvalidArgument)
}

func TestWhoIsRefusedHearsNothingElse(t *testing.T) {
	srv, conn := start(t)
	client := kmspb.NewKeyManagementServiceClient(conn)
	srv.Deny(gcpkms.UseToDecrypt, key)
	_, err := client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key, Ciphertext: []byte("x")})
	wantCode(t, "decrypt without permission", err, codes.PermissionDenied)
	a, err := iampb.NewIAMPolicyClient(conn).TestIamPermissions(t.Context(), &iampb.TestIamPermissionsRequest{Resource: key, Permissions: []string{gcpkms.UseToDecrypt, gcpkms.UseToEncrypt}})
	if p := a.GetPermissions(); err != nil || len(p) != 1 || p[0] != gcpkms.UseToEncrypt {
		t.Errorf("the permissions are %q (%v), want the other one", p, err)
	}
	srv.Allow(gcpkms.UseToDecrypt, key)
	srv.Accept(func(token string) bool { return token == "good" })
	_, err = client.Decrypt(t.Context(), &kmspb.DecryptRequest{Name: key, Ciphertext: []byte("x")})
	wantCode(t, "decrypt without a token", err, codes.Unauthenticated)
	good := metadata.AppendToOutgoingContext(context.WithoutCancel(t.Context()), "authorization", "Bearer good")
	if _, err := client.Encrypt(good, &kmspb.EncryptRequest{Name: key, Plaintext: []byte("x")}); err != nil {
		t.Errorf("encrypt with a token: %v", err)
	}
	calls := srv.Calls()
	if last := calls[len(calls)-1]; len(calls) != 4 || last != (gcpkms.Call{Method: "Encrypt", Token: "good"}) {
		t.Errorf("%d calls, the last %v; want 4, and Encrypt with the token", len(calls), last)
	}
}

func TestFaultsComeBeforeAnswers(t *testing.T) {
	srv, conn := start(t)
	client := kmspb.NewKeyManagementServiceClient(conn)
	srv.Faults.Next(1, fault.Fault{Code: codes.ResourceExhausted})
	_, err := client.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: []byte("x")})
	wantCode(t, "encrypt, throttled", err, codes.ResourceExhausted)
}
