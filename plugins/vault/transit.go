package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// keyForm is what the engine takes as the name of a key; above all it has no slash.
var keyForm = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)

// Encrypt answers the key with the version that was used, "orders:3".
func (st *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	var out struct {
		Ciphertext string `json:"ciphertext"`
		Version    int    `json:"key_version"`
	}
	body := map[string]string{"plaintext": base64.StdEncoding.EncodeToString(r.Plaintext.Reveal())}
	key, err := st.crypt(ctx, "encrypt", r.Key, r.AAD, body, &out)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	if out.Ciphertext == "" {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.Internal, "encrypt %q: the answer holds no ciphertext", key)
	}
	return sdk.EncryptResult{Ciphertext: []byte(out.Ciphertext), Key: fmt.Sprintf("%s:%d", key, out.Version)}, nil
}

// Decrypt takes a key with or without a version: the ciphertext tells it.
func (st *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	var out struct {
		Plaintext string `json:"plaintext"`
	}
	key, err := st.crypt(ctx, "decrypt", r.Key, r.AAD, map[string]string{"ciphertext": string(r.Ciphertext)}, &out)
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	plain, err := base64.StdEncoding.DecodeString(out.Plaintext)
	if err != nil || len(plain) == 0 {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.DataLoss, "decrypt %q: the answer holds no plaintext", key)
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(plain), Key: key}, nil
}

// crypt makes one request to the transit engine and gives the name of the key that it used.
func (st *store) crypt(ctx context.Context, op, key string, aad []byte, body map[string]string, out any) (string, error) {
	name, _, _ := strings.Cut(key, ":")
	if key == "" {
		name = st.s.TransitKey
	}
	if !keyForm.MatchString(name) {
		return "", sdk.Errorf(sdk.InvalidArgument, "%s: %q is not the name of a transit key", op, name)
	}
	if len(aad) > 0 {
		body["associated_data"] = base64.StdEncoding.EncodeToString(aad)
	}
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodPut, path: st.transit + "/" + op + "/" + name, body: body})
	if err != nil {
		return "", err
	}
	if json.Unmarshal(a.Data, out) != nil {
		return "", sdk.Errorf(sdk.Internal, "%s %q: the answer is not transit's", op, name)
	}
	return name, nil
}
