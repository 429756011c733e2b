package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// cryptor answers Encrypt and Decrypt as one symmetric key of the service does.
type cryptor struct{ aead cipher.AEAD }

type crypt struct {
	KeyId                     string // the spelling of the service
	Plaintext, CiphertextBlob []byte
	EncryptionContext         map[string]string
}

func (c cryptor) encrypt(w http.ResponseWriter, q crypt) {
	if q.KeyId != arn {
		refusal("NotFoundException", "Key does not exist")(w, nil)
		return
	}
	nonce := make([]byte, c.aead.NonceSize())
	_, _ = rand.Read(nonce)
	raw, _ := json.Marshal(map[string]any{"KeyId": arn, "EncryptionAlgorithm": symmetric, "CiphertextBlob": c.aead.Seal(nonce, nonce, q.Plaintext, pairs(q))})
	reply(200, string(raw))(w, nil)
}

func (c cryptor) decrypt(w http.ResponseWriter, q crypt) {
	n := c.aead.NonceSize()
	if len(q.CiphertextBlob) < n {
		refusal("InvalidCiphertextException", "")(w, nil)
		return
	}
	plain, err := c.aead.Open(nil, q.CiphertextBlob[:n], q.CiphertextBlob[n:], pairs(q))
	if err != nil {
		refusal("InvalidCiphertextException", "")(w, nil)
		return
	}
	raw, _ := json.Marshal(map[string]any{"KeyId": arn, "EncryptionAlgorithm": symmetric, "Plaintext": plain})
	reply(200, string(raw))(w, nil)
}

func pairs(q crypt) []byte {
	if len(q.EncryptionContext) == 0 {
		return nil
	}
	raw, _ := json.Marshal(q.EncryptionContext) // in the order of the names
	return raw
}

func TestConformance(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	c := cryptor{aead}
	with := func(answer func(http.ResponseWriter, crypt)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var q crypt
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
				t.Errorf("request: %v", err)
			}
			answer(w, q)
		}
	}
	f := newFake(t, map[string]http.HandlerFunc{"Encrypt": with(c.encrypt), "Decrypt": with(c.decrypt)})
	p := sdktest.Start(t, sdktest.Build(t, "."))
	raw := settings(t, f.URL, set{"key": arn})
	st, err := p.Open(t.Context(), "test~1", raw)
	if err != nil {
		t.Fatal(err)
	}
	sdktest.Run(t, &sdktest.Target{Plugin: p, Settings: raw, Store: st, Scratch: "kwtest/",
		SettingsAt: func(address string) []byte { return settings(t, "http://"+address, set{"key": arn}) }})
}
