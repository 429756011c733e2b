//go:build e2e && unix

package awskms_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"

	localkms "github.com/keyway-dev/keyway/e2e/local-kms"
	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// crypt is what a request asks or an answer says.
type crypt struct {
	Type                      string `json:"__type"`
	KeyID                     string `json:"KeyId"`
	Plaintext, CiphertextBlob []byte
}

func read(t *testing.T, raw []byte) (c crypt) {
	t.Helper()
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Errorf("not a JSON object: %v", err)
	}
	return c
}

func TestRecordedAnswersOfTheRealServiceAreRead(t *testing.T) {
	p := startPlugin(t)
	recordings.HTTP(t, "gocloud.dev", "secrets/awskms/testdata", 6, func(t *testing.T, all []recordings.HTTPExchange) {
		ours := slices.DeleteFunc(all, func(e recordings.HTTPExchange) bool { return e.Action() == "ListAliases" }) // no call of ours does
		server := httptest.NewServer(recordings.NewHTTPReplay(t, ours, func(got, want []byte) bool { return reflect.DeepEqual(read(t, got), read(t, want)) }))
		defer server.Close()
		st := open(t, p, (&localkms.Server{URL: server.URL}).Settings(t, set{"region": "us-east-2"}))
		for _, e := range ours {
			repeat(t, st, e)
		}
	})
}

// repeat makes the call of ours that leads to a recorded exchange.
func repeat(t *testing.T, st *dial.Store, e recordings.HTTPExchange) {
	t.Helper()
	asked, answered := read(t, e.Asked()), read(t, e.Response.Body)
	var key string
	var err error
	switch e.Action() {
	case "Encrypt":
		var r sdk.EncryptResult
		r, err = st.Encrypt(t.Context(), sdk.EncryptRequest{Key: asked.KeyID, Plaintext: sdk.NewSensitive(asked.Plaintext)})
		if key = r.Key; err == nil && !bytes.Equal(r.Ciphertext, answered.CiphertextBlob) {
			t.Error("encrypt: another ciphertext than the one that was recorded")
		}
	case "Decrypt":
		var r sdk.DecryptResult
		r, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: asked.CiphertextBlob})
		if key = r.Key; err == nil && !r.Plaintext.Equal(sdk.NewSensitive(answered.Plaintext)) {
			t.Error("decrypt: another plaintext than the one that was recorded")
		}
	default:
		t.Fatalf("no call of ours leads to %s", e.Action())
	}
	want := sdk.OK
	if answered.Type == "InvalidCiphertextException" {
		want = sdk.InvalidArgument
	}
	wantCode(t, e.Action(), err, want)
	if key != answered.KeyID {
		t.Errorf("%s: key %q, want %q", e.Action(), key, answered.KeyID)
	}
}
