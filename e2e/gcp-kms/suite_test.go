//go:build e2e && unix

package gcpkms_test

import (
	"context"
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/keyway-dev/keyway/e2e/conformance"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const gatewayKey = "projects/acme/locations/global/keyRings/litellm/cryptoKeys/gateway"

func TestTheBinaryKeepsTheContract(t *testing.T) {
	srv, address := gcpkms.Start(t)
	srv.CreateKey(gatewayKey, kmspb.ProtectionLevel_SOFTWARE)
	at := func(address string) []byte {
		return settingsOf(t, set{"key": gatewayKey, "endpoint": "http://" + address})
	}
	p := startPlugin(t)
	st, err := p.Open(t.Context(), "test~1", at(address))
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, "gcp-kms", &sdktest.Target{Plugin: p, Settings: at(address), Store: st, Scratch: "kwtest/", SettingsAt: at})
}

// The roles of the page are enough for what it says, and each for nothing else.
func TestTheDocumentedRolesAreEnoughAndNecessary(t *testing.T) {
	srv, address := gcpkms.Start(t)
	srv.CreateKey(gatewayKey, kmspb.ProtectionLevel_SOFTWARE)
	st := openStore(t, startPlugin(t), set{"key": gatewayKey, "endpoint": "http://" + address})
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		gcpkms.UseToEncrypt: func(ctx context.Context) error {
			_, err := st.Encrypt(ctx, sdk.EncryptRequest{Plaintext: sdk.SensitiveString("value")})
			return err
		},
		gcpkms.UseToDecrypt: func(ctx context.Context) error {
			_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext})
			return err
		},
	}
	for taken := range calls {
		srv.Deny(taken, gatewayKey)
		for needed, call := range calls {
			want := sdk.OK
			if needed == taken {
				want = sdk.PermissionDenied
			}
			wantCode(t, "the call that needs "+needed+" without "+taken, call(t.Context()), want)
		}
		report, err := st.Check(t.Context())
		if err != nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], taken) {
			t.Errorf("check without %s: notes %q (%v), want one that names it", taken, report.Notes, err)
		}
		srv.Allow(taken, gatewayKey)
	}
}
