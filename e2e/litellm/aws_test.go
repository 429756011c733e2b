//go:build e2e && linux

package litellm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/e2e/moto"
)

// The configurations of https://docs.litellm.ai/docs/secret_managers/aws_secret_manager
const (
	awsRead = `general_settings:
  master_key: os.environ/litellm_master_key
  key_management_system: "aws_secret_manager"
  key_management_settings:
    hosted_keys: ["litellm_master_key"]
`
	awsReadWrite = `general_settings:
  master_key: os.environ/litellm_master_key
  key_management_system: "aws_secret_manager"
  key_management_settings:
    store_virtual_keys: true
    prefix_for_stored_virtual_keys: "litellm/"
    access_mode: "read_and_write"
    hosted_keys: ["litellm_master_key"]
`
	awsPrimary = `model_list:
  - model_name: one
    litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI_API_KEY_MODEL_1}
  - model_name: two
    litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI_API_KEY_MODEL_2}
general_settings:
  key_management_system: "aws_secret_manager"
  key_management_settings:
    hosted_keys: [
      "OPENAI_API_KEY_MODEL_1",
      "OPENAI_API_KEY_MODEL_2",
    ]
    primary_secret_name: "litellm_secrets"
`
	awsRole = `model_list:
  - model_name: one
    litellm_params: {model: openai/gpt-5, api_key: os.environ/litellm_master_key}
general_settings:
  key_management_system: "aws_secret_manager"
  key_management_settings:
    store_virtual_keys: true
    aws_region_name: "us-east-1"
    aws_role_name: "ROLE"
    aws_session_name: "litellm-session"
`
	crossAccount = `    aws_external_id: "unique-external-id"`
	awsIRSA      = `    aws_web_identity_token: "os.environ/AWS_WEB_IDENTITY_TOKEN_FILE"`
)

const readSecrets = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:BatchGetSecretValue"],"Resource":"*"}]}`

// hold keeps the page's secrets.
func hold(t *testing.T, s *moto.Server) {
	t.Helper()
	c := secretsmanager.NewFromConfig(s.Config())
	for name, value := range map[string]string{"litellm_master_key": "sk-canary-master",
		"litellm_secrets": `{"OPENAI_API_KEY_MODEL_1": "sk-canary-1", "OPENAI_API_KEY_MODEL_2": "sk-canary-2"}`} {
		if _, err := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecretsManager(t *testing.T) {
	s := moto.StartEnforced(t)
	hold(t, s)
	keyway := with("aws-sm")
	env := func(k moto.Key) []string {
		return []string{"AWS_ACCESS_KEY_ID=" + k.ID, "AWS_SECRET_ACCESS_KEY=" + k.Secret, "AWS_REGION_NAME=" + moto.Region,
			"AWS_ENDPOINT_URL=" + s.URL, "AWS_ENDPOINT_URL_STS=" + s.URL}
	}
	reader := env(s.User(t, readSecrets))
	master := map[string]string{"litellm_master_key": "sk-canary-master"}
	for name, c := range map[string]struct {
		config string
		env    []string
		want   map[string]string
	}{
		"keys that are read":             {awsRead, reader, master},
		"keys that are read and written": {awsReadWrite, reader, master},
		"several keys in one secret":     {awsPrimary, reader, map[string]string{"OPENAI_API_KEY_MODEL_1": "sk-canary-1", "OPENAI_API_KEY_MODEL_2": "sk-canary-2"}},
		"a role":                         {strings.Replace(awsRole, "ROLE", s.Role(t, readSecrets), 1), env(s.User(t, policyOf("sts:AssumeRole"))), master},
		"a role of another account": {strings.Replace(awsRole, "ROLE", s.Role(t, readSecrets), 1) + crossAccount + "\n",
			env(s.User(t, policyOf("sts:AssumeRole"))), master},
	} {
		t.Run(name, func(t *testing.T) {
			keyway.wantStart(t, c.config, c.env, c.want, "AWS_SECRET_ACCESS_KEY")
		})
	}
	keyway.wantRefusal(t, awsRead, env(s.User(t, policyOf("sts:AssumeRole"))), "permission denied", "secretsmanager:GetSecretValue", "litellm_master_key")
}

// In EKS the token is in a file, and LiteLLM's page gives its path in place of the token. moto knows no such call where it
// looks at signatures, since it has none.
func TestSecretsManagerWithAServiceAccountOfKubernetes(t *testing.T) {
	s := moto.Start(t)
	hold(t, s)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("eyJhbGciOiJub25lIn0.eyJzdWIiOiJnYXRld2F5In0."), 0o600); err != nil {
		t.Fatal(err)
	}
	role := s.Role(t, readSecrets)
	env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ROLE_ARN=" + role, "AWS_REGION_NAME=" + moto.Region, "AWS_ENDPOINT_URL=" + s.URL, "AWS_ENDPOINT_URL_STS=" + s.URL}
	config := strings.Replace(awsRole, `    aws_session_name: "litellm-session"`, awsIRSA, 1)
	with("aws-sm").wantStart(t, strings.Replace(config, "ROLE", role, 1), env, map[string]string{"litellm_master_key": "sk-canary-master"})
}

func policyOf(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`
}
