package matrix

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const (
	awsRegion = "eu-west-1"
	awsKeyID  = "AKIAIOSFODNN7EXAMPLE"
	awsSecret = "wJalrXUtnFEMI"
	awsARN    = "arn:aws:secretsmanager:" + awsRegion + ":123456789012:secret:"
	awsKey    = "arn:aws:kms:" + awsRegion + ":123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// amazon serves one of AWS's services by its JSON protocol and gives the configuration of a client.
func (m *Manager) amazon(provider string, act func(action string, body *json.Decoder) any) aws.Config {
	url := m.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer := act(action, json.NewDecoder(r.Body))
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if answer == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}), always)
	m.Provider = provider
	m.Env["SECRET"] = awsSecret
	m.Settings = map[string]any{"region": awsRegion, "endpoint": url,
		"auth": map[string]any{"static": map[string]any{"access_key_id": awsKeyID, "secret_access_key": "secret://env/SECRET"}}}
	return aws.Config{Region: awsRegion, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(awsKeyID, awsSecret, "")}
}

// awsSM has every secret there may be, also in batches of 20.
func awsSM(_ context.Context, m *Manager) error {
	m.Name = numbered
	entry := func(name string) map[string]any {
		return map[string]any{"ARN": awsARN + name + "-AbCdEf", "Name": name, "VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1",
			"VersionStages": []string{"AWSCURRENT"}, "CreatedDate": 1.7e9, "SecretString": value}
	}
	client := secretsmanager.NewFromConfig(m.amazon("aws-sm", func(action string, body *json.Decoder) any {
		var asked struct {
			SecretId     string
			SecretIdList []string
		}
		if body.Decode(&asked) != nil {
			return nil
		}
		switch action {
		case "GetSecretValue":
			return entry(asked.SecretId)
		case "BatchGetSecretValue":
			values := make([]any, len(asked.SecretIdList))
			for i, name := range asked.SecretIdList {
				values[i] = entry(name)
			}
			return map[string]any{"SecretValues": values}
		}
		return nil
	}))
	m.Direct = func(ctx context.Context) error {
		_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(numbered(0))})
		return err
	}
	return nil
}

// awsKMS has a key that leaves everything as it is.
func awsKMS(_ context.Context, m *Manager) error {
	m.Ciphertext = func(i int) []byte { return []byte(value + numbered(i)) }
	client := kms.NewFromConfig(m.amazon("aws-kms", func(action string, body *json.Decoder) any {
		var asked struct{ CiphertextBlob []byte }
		if action != "Decrypt" || body.Decode(&asked) != nil {
			return nil
		}
		return map[string]any{"KeyId": awsKey, "Plaintext": asked.CiphertextBlob, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
	}))
	m.Settings["key"] = awsKey
	m.Direct = func(ctx context.Context) error {
		_, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: m.Ciphertext(0), KeyId: aws.String(awsKey)})
		return err
	}
	return nil
}
