package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// keyForm is what the engine takes as the name of a key; above all it has no slash.
var keyForm = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)

// ciphertextForm is what the engine answers; it names the version of the key.
var ciphertextForm = regexp.MustCompile(`^vault:v([1-9]\d*):`)

// Encrypt answers the key with the version that was used, "orders:3". Asked with a version, it uses that one.
func (st *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	name, version, err := st.key("encrypt", r.Key)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	body := map[string]any{"plaintext": base64.StdEncoding.EncodeToString(r.Plaintext.Reveal())}
	if version > 0 {
		body["key_version"] = version
	}
	var out struct {
		Ciphertext string `json:"ciphertext"`
	}
	if err := st.crypt(ctx, "encrypt", name, r.AAD, body, &out); err != nil {
		return sdk.EncryptResult{}, err
	}
	used := ciphertextForm.FindStringSubmatch(out.Ciphertext)
	if used == nil {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.Internal, "encrypt %q: the answer holds no ciphertext", name)
	}
	return sdk.EncryptResult{Ciphertext: []byte(out.Ciphertext), Key: name + ":" + used[1]}, nil
}

// Decrypt takes a key with or without a version: the ciphertext tells it.
func (st *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	name, _, err := st.key("decrypt", r.Key)
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	used := ciphertextForm.FindSubmatch(r.Ciphertext)
	if used == nil {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt %q: the ciphertext is not of the form vault:v1:…", name)
	}
	var out struct {
		Plaintext string `json:"plaintext"`
	}
	if err := st.crypt(ctx, "decrypt", name, r.AAD, map[string]any{"ciphertext": string(r.Ciphertext)}, &out); err != nil {
		return sdk.DecryptResult{}, err
	}
	plain, err := base64.StdEncoding.DecodeString(out.Plaintext)
	if err != nil || len(plain) == 0 {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.DataLoss, "decrypt %q: the answer holds no plaintext", name)
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(plain), Key: name + ":" + string(used[1])}, nil
}

// key splits "orders:3"; version 0 is the latest. An empty key is that of the settings.
func (st *store) key(op, key string) (name string, version int, err error) {
	name, number, pinned := strings.Cut(cmp.Or(key, st.s.TransitKey), ":")
	if pinned {
		version, err = strconv.Atoi(number)
	}
	if err != nil || pinned && version < 1 || !keyForm.MatchString(name) {
		return "", 0, sdk.Errorf(sdk.InvalidArgument, "%s: %q is not the name of a transit key, with or without a version", op, key)
	}
	return name, version, nil
}

// crypt makes one request to the transit engine. A derived key takes aad as the context that it is derived with; others
// bind it to the ciphertext, if their type can.
// https://developer.hashicorp.com/vault/api-docs/secret/transit#encrypt-data
func (st *store) crypt(ctx context.Context, op, name string, aad []byte, body map[string]any, out any) error {
	switch bound := base64.StdEncoding.EncodeToString(aad); {
	case st.s.TransitContext && bound == "":
		return sdk.Errorf(sdk.InvalidArgument, "%s %q: the keys are derived (transit_context), and the call has no aad to derive one with", op, name)
	case st.s.TransitContext:
		body["context"] = bound
	case bound != "":
		body["associated_data"] = bound
	}
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodPut, path: st.transit + "/" + op + "/" + name, body: body})
	if err != nil {
		return err
	}
	if json.Unmarshal(a.Data, out) != nil {
		return sdk.Errorf(sdk.Internal, "%s %q: the answer is not transit's", op, name)
	}
	return nil
}
