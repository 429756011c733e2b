//go:build e2e && linux

package gcpkms_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/keyway-dev/keyway/e2e/world"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
)

// liteLLM is the configuration of LiteLLM's own page about Google KMS, with its variables.
// https://docs.litellm.ai/docs/secret_managers/google_kms
const liteLLM = `model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-5
      api_key: os.environ/OPENAI_API_KEY
general_settings:
  use_google_kms: true
  database_url: os.environ/PROXY_DATABASE_URL_ENCRYPTED
`

// LiteLLM's configuration runs as it is, in front of the vendor's own address and with the vendor's own login.
func TestLiteLLMsConfigurationRunsUnchanged(t *testing.T) {
	if !world.Inside(t, pkg) {
		return
	}
	srv := furnish(t)
	srv.CreateKey(gatewayKey, kmspb.ProtectionLevel_SOFTWARE)
	private, file := serviceAccount(t)
	srv.Accept(func(token string) bool { return signedBy(&private.PublicKey, token) })
	env := []string{
		"GOOGLE_APPLICATION_CREDENTIALS=" + file, "GOOGLE_KMS_RESOURCE_NAME=" + gatewayKey,
		"PROXY_DATABASE_URL_ENCRYPTED=" + ciphertextOf(t, srv, gatewayKey, "postgres://user:canary@db/litellm"),
		"OPENAI_API_KEY=" + ciphertextOf(t, srv, gatewayKey, "sk-canary"),
	}
	for _, form := range []string{"use_google_kms: true", "key_management_system: google_kms"} {
		config := strings.Replace(liteLLM, "use_google_kms: true", form, 1)
		out, err := world.Keyway(t, "config.yaml", config, env, "run", "--litellm", "config.yaml", "--", "sh", "-c",
			`test "$OPENAI_API_KEY" = sk-canary && test "$PROXY_DATABASE_URL_ENCRYPTED" = postgres://user:canary@db/litellm && cat "$0"`, "{config}")
		if err != nil {
			t.Fatalf("%s: keyway run: %v\n%s", form, err, out)
		}
		if !strings.Contains(out, "os.environ/OPENAI_API_KEY") || strings.Contains(out, "google_kms:") || strings.Contains(out, "canary") {
			t.Errorf("%s: LiteLLM's copy must keep its references and hold no secret:\n%s", form, out)
		}
	}

	// What KMS refuses is an error. LiteLLM would take the ciphertext for the secret.
	srv.Deny(gcpkms.UseToDecrypt, gatewayKey)
	out, err := world.Keyway(t, "config.yaml", liteLLM, env, "run", "--litellm", "config.yaml", "--", "sh", "-c", "echo it-runs", "{config}")
	if err == nil || strings.Contains(out, "it-runs") || !strings.Contains(out, gcpkms.UseToDecrypt) {
		t.Errorf("keyway run without permission: %v\n%s", err, out)
	}
}
