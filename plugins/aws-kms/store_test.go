package main

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

var answers = map[string]http.HandlerFunc{"Encrypt": reply(200, encrypted), "Decrypt": reply(200, decrypted)}

func encrypt(st *store, t *testing.T, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	t.Helper()
	if r.Plaintext.IsZero() {
		r.Plaintext = sdk.SensitiveString("hello")
	}
	return st.Encrypt(t.Context(), r)
}

func decrypt(st *store, t *testing.T, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	t.Helper()
	if r.Ciphertext == nil {
		r.Ciphertext = []byte("ciphertext")
	}
	return st.Decrypt(t.Context(), r)
}

func TestEncryptAsksForTheKeyOfTheCallElseThatOfTheSettings(t *testing.T) {
	f := newFake(t, answers)
	st := openStore(t, f.URL, set{"key": "alias/gateway"})
	for _, key := range []string{"", "alias/other", arn} {
		r, err := encrypt(st, t, sdk.EncryptRequest{Key: key})
		if err != nil || string(r.Ciphertext) != "ciphertext" || r.Key != arn {
			t.Errorf("encrypt with key %q: got %d bytes of key %q (%v), want those of %s", key, len(r.Ciphertext), r.Key, err, arn)
		}
	}
	text := base64.StdEncoding.EncodeToString([]byte("hello"))
	want := []map[string]any{{"KeyId": "alias/gateway", "Plaintext": text}, {"KeyId": "alias/other", "Plaintext": text}, {"KeyId": arn, "Plaintext": text}}
	if got := f.requests("Encrypt"); !reflect.DeepEqual(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

func TestDecryptNamesNoKeyUnlessOneIsGiven(t *testing.T) {
	f := newFake(t, answers)
	r, err := decrypt(openStore(t, f.URL, nil), t, sdk.DecryptRequest{})
	if err != nil || !r.Plaintext.Equal(sdk.SensitiveString("hello")) || r.Key != arn {
		t.Errorf("decrypt: %d bytes of key %q (%v), want 5 of %s", r.Plaintext.Len(), r.Key, err, arn)
	}
	if _, err := decrypt(openStore(t, f.URL, set{"key": "alias/gateway"}), t, sdk.DecryptRequest{}); err != nil {
		t.Errorf("decrypt with the settings' key: %v", err)
	}
	blob := base64.StdEncoding.EncodeToString([]byte("ciphertext"))
	want := []map[string]any{{"CiphertextBlob": blob}, {"CiphertextBlob": blob, "KeyId": "alias/gateway"}}
	if got := f.requests("Decrypt"); !reflect.DeepEqual(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

func TestContextIsThatOfTheSettingsAndOfTheCall(t *testing.T) {
	f := newFake(t, answers)
	st := openStore(t, f.URL, set{"key": arn, "context": set{"app": "gateway"}, "grant_tokens": []string{"token1"}})
	for _, aad := range []string{"", "{}", ` {"team": "a", "app": "gateway"} `} {
		if _, err := decrypt(st, t, sdk.DecryptRequest{AAD: []byte(aad)}); err != nil {
			t.Errorf("decrypt with %q: %v", aad, err)
		}
	}
	fixed, both := any(set{"app": "gateway"}), any(set{"app": "gateway", "team": "a"})
	for i, want := range []any{fixed, fixed, both} {
		q := f.requests("Decrypt")[i]
		if got := q["EncryptionContext"]; !reflect.DeepEqual(got, want) {
			t.Errorf("request %d: encryption context %v, want %v", i, got, want)
		}
		if got := q["GrantTokens"]; !reflect.DeepEqual(got, []any{"token1"}) {
			t.Errorf("request %d: grant tokens %v", i, got)
		}
	}
}

func TestAdditionalDataThatAreNoPairsAreRefusedBeforeAnyCall(t *testing.T) {
	f := newFake(t, answers)
	st := openStore(t, f.URL, set{"key": arn, "context": set{"app": "gateway"}})
	for _, aad := range []string{"canary", `["canary"]`, `{"a":1}`, `{"a":null}`, `{"a":{"b":"c"}}`, `{"a":"b"`, `{"a":"b"}{}`, `{"a":"b","a":"c"}`, `null`, `{"app":"canary"}`} {
		_, err := encrypt(st, t, sdk.EncryptRequest{AAD: []byte(aad)})
		wantCode(t, "encrypt with "+aad, err, sdk.InvalidArgument)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the message quotes the data: %v", err)
		}
		_, err = decrypt(st, t, sdk.DecryptRequest{AAD: []byte(aad)})
		wantCode(t, "decrypt with "+aad, err, sdk.InvalidArgument)
	}
	if n := len(f.requests("Encrypt")) + len(f.requests("Decrypt")); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestAsymmetricKeysAreNamedWithTheirAlgorithm(t *testing.T) {
	f := newFake(t, answers)
	st := openStore(t, f.URL, set{"algorithm": "RSAES_OAEP_SHA_256"})
	_, err := decrypt(st, t, sdk.DecryptRequest{})
	wantCode(t, "decrypt without a key", err, sdk.InvalidArgument)
	if _, err := decrypt(st, t, sdk.DecryptRequest{Key: arn}); err != nil {
		t.Errorf("decrypt: %v", err)
	}
	if _, err := encrypt(st, t, sdk.EncryptRequest{Key: arn}); err != nil {
		t.Errorf("encrypt: %v", err)
	}
	for _, action := range []string{"Decrypt", "Encrypt"} {
		if q := f.requests(action); len(q) != 1 || q[0]["EncryptionAlgorithm"] != "RSAES_OAEP_SHA_256" || q[0]["KeyId"] != arn {
			t.Errorf("%s: requests %v, want one with key and algorithm", action, q)
		}
	}
	_, err = encrypt(st, t, sdk.EncryptRequest{Key: arn, Plaintext: sdk.SensitiveString(strings.Repeat("x", 447))})
	wantCode(t, "encrypt of 447 bytes", err, sdk.InvalidArgument)
}

func TestWhatCannotBeIsRefusedBeforeAnyCall(t *testing.T) {
	f := newFake(t, answers)
	st := openStore(t, f.URL, nil)
	for what, r := range map[string]sdk.EncryptRequest{
		"no key":          {},
		"a bad key":       {Key: "alias/with space"},
		"another region":  {Key: strings.Replace(arn, "eu-west-1", "us-east-1", 1)},
		"over 4096 bytes": {Key: arn, Plaintext: sdk.SensitiveString(strings.Repeat("x", 4097))},
	} {
		_, err := encrypt(st, t, r)
		wantCode(t, "encrypt with "+what, err, sdk.InvalidArgument)
	}
	for what, r := range map[string]sdk.DecryptRequest{
		"a bad key":       {Key: "no\\key"},
		"over 6144 bytes": {Ciphertext: make([]byte, 6145)},
		"zeros":           {Ciphertext: make([]byte, 100)},
	} {
		_, err := decrypt(st, t, r)
		wantCode(t, "decrypt with "+what, err, sdk.InvalidArgument)
	}
	if n := len(f.requests("Encrypt")) + len(f.requests("Decrypt")); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestTrimTakesTheLineEndOffAPlaintextAndNothingElse(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": reply(200, `{"KeyId":"k","Plaintext":"aGVsbG8gd29ybGQK"}`)})
	for trim, want := range map[bool]string{false: "hello world\n", true: "hello world"} {
		r, err := decrypt(openStore(t, f.URL, set{"trim": trim}), t, sdk.DecryptRequest{})
		if err != nil || !r.Plaintext.Equal(sdk.SensitiveString(want)) {
			t.Errorf("trim %v: %d bytes (%v), want %d", trim, r.Plaintext.Len(), err, len(want))
		}
	}
	f = newFake(t, map[string]http.HandlerFunc{"Decrypt": reply(200, `{"KeyId":"k","Plaintext":"IAo="}`)})
	_, err := decrypt(openStore(t, f.URL, set{"trim": true}), t, sdk.DecryptRequest{})
	wantCode(t, "a plaintext of white space", err, sdk.FailedPrecondition)
}

func TestAnEmptyAnswerIsAnError(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Encrypt": reply(200, `{"KeyId":"k"}`), "Decrypt": reply(200, `{"KeyId":"k","Plaintext":""}`)})
	st := openStore(t, f.URL, set{"key": arn})
	_, err := encrypt(st, t, sdk.EncryptRequest{})
	wantCode(t, "encrypt", err, sdk.Internal)
	_, err = decrypt(st, t, sdk.DecryptRequest{})
	wantCode(t, "decrypt", err, sdk.DataLoss)
}

func TestCheckTellsWhoWeAreAndWhatIsWrongWithTheKey(t *testing.T) {
	const who = "arn:aws:iam::111122223333:user/gateway"
	for word, want := range map[string]struct {
		code  sdk.Code
		notes int
	}{
		"InvalidCiphertextException":  {sdk.OK, 0},
		"NotFoundException":           {sdk.OK, 1},
		"DisabledException":           {sdk.OK, 1},
		"AccessDeniedException":       {sdk.PermissionDenied, 0},
		"UnrecognizedClientException": {sdk.Unauthenticated, 0},
		"KMSInternalException":        {sdk.Unavailable, 0},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal(word, "")})
		r, err := openStore(t, f.URL, set{"key": arn}).Check(t.Context())
		wantCode(t, word, err, want.code)
		if err == nil && (r.Identity != who || len(r.Notes) != want.notes) {
			t.Errorf("%s: identity %q and notes %q, want %s and %d", word, r.Identity, r.Notes, who, want.notes)
		}
	}
}

func TestCheckPassesWhereStsCannotTell(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal("InvalidCiphertextException", ""), "GetCallerIdentity": reply(415, "only JSON")})
	r, err := openStore(t, f.URL, nil).Check(t.Context())
	if err != nil || r.Identity != "" || len(r.Notes) != 1 {
		t.Errorf("identity %q, notes %q (%v), want none, one and no error", r.Identity, r.Notes, err)
	}
}

func TestCheckOfAStoreWithoutAnythingToDecryptWithIsThatOfSts(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GetCallerIdentity": reply(403, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>`)})
	_, err := openStore(t, f.URL, set{"algorithm": "RSAES_OAEP_SHA_256"}).Check(t.Context())
	wantCode(t, "check", err, sdk.Unauthenticated)
}
