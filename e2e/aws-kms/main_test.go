//go:build e2e && unix

// Package awskms_test holds the compiled provider "aws-kms" to its promises on two emulators and on recorded answers of the
// real service, and LiteLLM's configurations for it to theirs.
package awskms_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	localkms "github.com/keyway-dev/keyway/e2e/local-kms"
	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const pkg = "github.com/keyway-dev/keyway/plugins/aws-kms"

// local looks at no permissions and keeps the states of keys; enforced is the other way round. Each test has keys of its own.
var (
	local    *localkms.Server
	enforced *moto.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	l, stop, err := localkms.Run()
	if err == nil {
		local, stops = l, append(stops, stop)
		enforced, stop, err = moto.RunEnforced()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the servers:", err)
		return 1
	}
	stops = append(stops, stop)
	return m.Run()
}

type set = map[string]any

func startPlugin(t *testing.T) *dial.Plugin {
	t.Helper()
	return sdktest.Start(t, sdktest.Build(t, pkg))
}

func open(t *testing.T, p *dial.Plugin, settings []byte) *dial.Store {
	t.Helper()
	st, err := p.Open(t.Context(), "test~"+rand.Text(), settings)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = st.Close(context.Background()) })
	return st
}

// motoKey makes a key on the server that enforces permissions, and gives its ARN.
func motoKey(t *testing.T, spec types.KeySpec) string {
	t.Helper()
	out, err := kms.NewFromConfig(enforced.Config()).CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: types.KeyUsageTypeEncryptDecrypt})
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return aws.ToString(out.KeyMetadata.Arn)
}

// ciphertextOf has a store encrypt a text.
func ciphertextOf(t *testing.T, st *dial.Store, text string, aad []byte) []byte {
	t.Helper()
	r, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString(text), AAD: aad})
	if err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	return r.Ciphertext
}

func wantPlaintext(t *testing.T, st *dial.Store, r sdk.DecryptRequest, want string) {
	t.Helper()
	got, err := st.Decrypt(t.Context(), r)
	if err != nil {
		t.Errorf("decrypt: %v", err)
	} else if !got.Plaintext.Equal(sdk.SensitiveString(want)) {
		t.Errorf("decrypt: another plaintext of %d bytes, want the %d that were encrypted", got.Plaintext.Len(), len(want))
	}
}

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

// at gives settings with the server at another address.
func at(t *testing.T, settings []byte, address string) []byte {
	m := set{}
	if err := json.Unmarshal(settings, &m); err != nil {
		t.Errorf("settings: %v", err)
	}
	m["endpoint"] = "http://" + address
	raw, err := json.Marshal(m)
	if err != nil {
		t.Errorf("settings: %v", err)
	}
	return raw
}
