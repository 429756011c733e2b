package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryFaultOfTheSettingsIsToldAtItsPath(t *testing.T) {
	none := map[string]any{"none": map[string]any{}}
	token := map[string]any{"token": map[string]any{"access_token": "canary"}}
	for what, c := range map[string]struct {
		settings map[string]any
		want     []string
	}{
		"nothing":                {map[string]any{}, []string{"/auth", "/key"}},
		"a key that is none":     {map[string]any{"key": "gateway", "auth": token}, []string{"/key"}},
		"a ring":                 {map[string]any{"key": "projects/p/locations/l/keyRings/r", "auth": token}, []string{"/key"}},
		"a version that is none": {map[string]any{"key": testKey + "/cryptoKeyVersions/0", "auth": token}, []string{"/key"}},
		"two logins":             {map[string]any{"key": testKey, "auth": map[string]any{"none": map[string]any{}, "adc": map[string]any{}}}, []string{"/auth"}},
		"several at once": {map[string]any{"key": "x", "endpoint": "http://kms.example.com", "impersonate": []string{"nobody"}, "auth": token},
			[]string{"/endpoint", "/impersonate/0", "/key"}},
		"no login where others can listen": {map[string]any{"key": testKey, "auth": none}, []string{"/auth/none"}},
		"a setting that there is not":      {map[string]any{"key": testKey, "auth": token, "keys": "x"}, []string{"/keys"}},
	} {
		raw, err := json.Marshal(c.settings)
		if err != nil {
			t.Fatal(err)
		}
		_, err = plugin().Open(t.Context(), sdk.Env{}, raw)
		wantCode(t, what, err, sdk.InvalidArgument)
		var got []string
		for _, p := range asError(err).Problems {
			got = append(got, p.Path)
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: faults at %q, want %q", what, got, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes a secret", what)
		}
	}
}

func TestReachIsTheServiceAndWhatTheLoginAsks(t *testing.T) {
	for address, more := range map[string]map[string]any{
		"cloudkms.googleapis.com:443":                  {},
		"cloudkms.europe-west3.rep.googleapis.com:443": {"location": "europe-west3"},
		"cloudkms.apis-berlin-build0.goog:443":         {"universe_domain": "apis-berlin-build0.goog"},
		"cloudkms-acme.p.googleapis.com:443":           {"endpoint": "https://cloudkms-acme.p.googleapis.com"},
	} {
		m := map[string]any{"key": testKey, "auth": map[string]any{"token": map[string]any{"access_token": "x"}}}
		maps.Copy(m, more)
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		o, err := plugin().Open(t.Context(), sdk.Env{}, raw)
		if err != nil {
			t.Errorf("open for %s: %v", address, err)
			continue
		}
		if got := o.Reach.Endpoints; !slices.Equal(got, []string{address}) || o.Reach.Ambient || o.Reach.Files != nil {
			t.Errorf("reach is %+v, want %s and nothing else", o.Reach, address)
		}
		if want := sdk.CanEncrypt | sdk.CanDecrypt | sdk.CanAAD; o.Capabilities != want {
			t.Errorf("the store can %v, want %v", o.Capabilities, want)
		}
	}
}

func TestLiteLLMsNamesAreInTheManifest(t *testing.T) {
	compat := plugin().Manifest().Compat
	for name, want := range map[string]string{
		"litellm.system":                             "google_kms",
		"litellm.ciphertexts":                        "env",
		"litellm.env.GOOGLE_KMS_RESOURCE_NAME":       "/key",
		"litellm.env.GOOGLE_APPLICATION_CREDENTIALS": "/auth/key_file/path",
	} {
		if got := compat[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
