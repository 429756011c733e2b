package litellm_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/sdk"
)

// crypt is a provider that only decrypts, as its manifest tells.
type crypt struct {
	Region string `json:"region" keyway:"required" env:"CRYPT_REGION" doc:"where"`
	Trim   bool   `json:"trim" doc:"without white space"`
}

func cryptManifests() []sdk.Manifest {
	open := func(context.Context, sdk.Env, crypt) (noStore, error) { return noStore{}, nil }
	about := sdk.About{Name: "crypt", Version: "1.2.3", Compat: map[string]string{"litellm.system": "crypt_kms", "litellm.ciphertexts": "env",
		"litellm.decrypt.switch": "USE_CRYPT_KMS", "litellm.decrypt.variables": "LITELLM_SECRET_CRYPT_KMS_", "litellm.decrypt.values": "crypt_kms/",
		"litellm.default./trim": "true"}}
	return append(manifests(nil), sdk.Define(about, open).Manifest())
}

// ciphertext is one in base64, of 40 bytes.
func ciphertext(first byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{first}, strings.Repeat("\xff", 39)...))
}

// reference text of it.
func decrypting(first byte) string {
	return "decrypt://" + litellm.Decrypter + "/" + base64.RawURLEncoding.EncodeToString(append([]byte{first}, strings.Repeat("\xff", 39)...))
}

func loadCrypt(t *testing.T, text string, vars map[string]string) (*litellm.Translation, error) {
	t.Helper()
	return litellm.Load(write(t, map[string]string{"config.yaml": text}), environment(vars), cryptManifests())
}

func TestAManagerThatOnlyDecryptsReadsTheEnvironmentsCiphertexts(t *testing.T) {
	tr, err := loadCrypt(t, `
model_list: [{litellm_params: {api_key: os.environ/OPENAI_API_KEY, api_base: os.environ/OPENAI_BASE}}]
general_settings: {key_management_system: crypt_kms, key_management_settings: {hosted_keys: [LITELLM_MASTER_KEY, OPENAI_API_KEY, UNSET]}}
`, map[string]string{"CRYPT_REGION": "north", "LITELLM_MASTER_KEY": "not a ciphertext", "OPENAI_API_KEY": ciphertext(1)})
	if err != nil {
		t.Fatal(err)
	}
	st, r := tr.Config.Stores[litellm.Store], tr.Config.References
	if st.Provider != "crypt" || st.CiphertextFrom != "env" || st.Settings["trim"] != true {
		t.Errorf("store %+v, want one that decrypts what the environment holds", st)
	}
	if r.DefaultStore != litellm.Store || r.Fallback == "env" {
		t.Errorf("references %+v: the environment must not answer with a ciphertext", r)
	}
	for name, required := range map[string]bool{"LITELLM_MASTER_KEY": true, "OPENAI_API_KEY": true, "OPENAI_BASE": true, "UNSET": false} {
		if r := reference(tr, name); r == nil || r.Required != required {
			t.Errorf("%s: %+v, want required %v: what is set must decrypt, or its ciphertext would be handed over", name, r, required)
		}
	}
}

func TestWithoutHostedKeysOnlyWhatMayBeACiphertextIsDecrypted(t *testing.T) {
	tr, err := loadCrypt(t, `
model_list: [{litellm_params: {api_key: os.environ/ENCRYPTED, api_base: "${os.environ/INSIDE}/v1", other: os.environ/PLAIN}}]
general_settings: {use_crypt_kms: true}
`, map[string]string{"CRYPT_REGION": "north", "ENCRYPTED": ciphertext(1) + "\n", "INSIDE": ciphertext(2), "PLAIN": "sk-a-plain-key-of-a-provider-0123456789", "DATABASE_URL": ciphertext(3),
		"REDIS_HOST": "cmVkaXM=", "UNASKED": ciphertext(4)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tr.Config.References.HostedNames, []string{"DATABASE_URL", "ENCRYPTED", "INSIDE"}; !slices.Equal(got, want) {
		t.Errorf("hosted names %q, want %q", got, want)
	}
	if r := reference(tr, "DATABASE_URL"); r == nil || !r.Required {
		t.Errorf("DATABASE_URL, which LiteLLM reads by itself and whose ciphertext is there: %+v, want it required", r)
	}
	if len(tr.Notes) != 1 || !strings.Contains(tr.Notes[0], "hosted_keys is not set") {
		t.Errorf("notes %q", tr.Notes)
	}
}

func TestVariablesThatAreDecryptedBeforeTheStartBecomeTheirPlaintexts(t *testing.T) {
	tr, err := loadCrypt(t, `
model_list: [{litellm_params: {api_key: os.environ/OPENAI_API_KEY, tags: [os.environ/MARKED], extra_headers: {Authorization: Bearer os.environ/MARKED}}}]
general_settings: {database_url: os.environ/PLAIN}
`, map[string]string{"USE_CRYPT_KMS": "True", "CRYPT_REGION": "north", "litellm_secret_crypt_kms_OPENAI_API_KEY": ciphertext(1), "MARKED": "crypt_kms/" + ciphertext(2),
		"LITELLM_SECRET_CRYPT_KMS_LITELLM_SALT_KEY": "crypt_kms/" + ciphertext(3), "LITELLM_SECRET_CRYPT_KMS_UNASKED": ciphertext(4), "PLAIN": ciphertext(5)})
	if err != nil {
		t.Fatal(err)
	}
	st := tr.Config.Stores[litellm.Decrypter]
	if st.Provider != "crypt" || st.Settings["region"] != "north" || st.Settings["trim"] != true || st.CiphertextFrom != "" || tr.Config.References.DefaultStore != "" {
		t.Errorf("store %+v and references %+v, want one that decrypts, and the environment as it was", st, tr.Config.References)
	}
	for name, want := range map[string]string{"OPENAI_API_KEY": decrypting(1), "MARKED": decrypting(2), "LITELLM_SALT_KEY": decrypting(3), "UNASKED": decrypting(4),
		"PLAIN": "os.environ/PLAIN", "KEYWAY_REF_1": "Bearer ${" + decrypting(2) + "}"} {
		if r := reference(tr, name); r == nil || r.Text != want || !r.Required {
			t.Errorf("%s: %+v, want the required text %q", name, r, want)
		}
	}
	want := []string{"LITELLM_SECRET_CRYPT_KMS_LITELLM_SALT_KEY", "LITELLM_SECRET_CRYPT_KMS_UNASKED", "USE_CRYPT_KMS", "litellm_secret_crypt_kms_OPENAI_API_KEY"}
	if slices.Sort(tr.Withheld); !slices.Equal(tr.Withheld, want) {
		t.Errorf("withheld %q, want %q", tr.Withheld, want)
	}
}

func TestDecryptionBeforeTheStartIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		want string
	}{
		"no base64":        {map[string]string{"CRYPT_REGION": "n", "A": "crypt_kms/canary!"}, "the variable A holds no ciphertext in base64"},
		"nothing":          {map[string]string{"CRYPT_REGION": "n", "LITELLM_SECRET_CRYPT_KMS_A": ""}, "LITELLM_SECRET_CRYPT_KMS_A holds no ciphertext"},
		"a setting absent": {map[string]string{"A": "crypt_kms/" + ciphertext(1)}, "USE_CRYPT_KMS: the setting /region of the plugin is missing; it comes from the variables CRYPT_REGION"},
	} {
		c.vars["USE_CRYPT_KMS"] = "True"
		_, err := loadCrypt(t, "model_list: []\n", c.vars)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %q and no value", name, err, c.want)
		}
	}
}

func TestWithoutItsSwitchNothingIsDecrypted(t *testing.T) {
	for _, value := range []string{"", "true", "1"} {
		tr, err := loadCrypt(t, "a: {b: os.environ/A}\n", map[string]string{"USE_CRYPT_KMS": value, "A": "crypt_kms/" + ciphertext(1)})
		if err != nil || len(tr.Config.Stores) != 0 || reference(tr, "A").Text != "os.environ/A" {
			t.Errorf("switch %q: %+v (%v), want no store", value, tr, err)
		}
	}
	file := write(t, map[string]string{"config.yaml": "model_list: []\n"})
	if litellm.NamesManager(file, []string{"USE_CRYPT_KMS=true"}) || !litellm.NamesManager(file, []string{"USE_CRYPT_KMS=True"}) {
		t.Error("a manager is named by a variable USE_… that is True, and by no other")
	}
}

func TestAManagerThatKeepsNothingHasNoPrimarySecret(t *testing.T) {
	_, err := loadCrypt(t, "general_settings: {key_management_system: crypt_kms, key_management_settings: {primary_secret_name: x}}\n", map[string]string{"CRYPT_REGION": "n"})
	if err == nil || !strings.Contains(err.Error(), "primary_secret_name: crypt_kms keeps no secrets") {
		t.Errorf("got %v", err)
	}
}
