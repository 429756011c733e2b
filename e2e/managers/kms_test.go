//go:build e2e && unix

package managers_test

import (
	"encoding/base64"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
)

// keeper is a service that keeps keys and no secrets.
type keeper struct {
	backend
	encrypt func(plaintext []byte) []byte // with the vendor's own client
}

func onAWSKMS(t *testing.T) keeper {
	t.Helper()
	client := kms.NewFromConfig(aws.Config())
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	user := aws.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*"}]}`)
	return keeper{
		backend: backend{name: "aws-kms", provider: "aws-kms", identity: user.User, env: []string{"KMS_KEY_ID=" + user.ID, "KMS_SECRET=" + user.Secret},
			settings: set{"region": moto.Region, "endpoint": aws.URL, "sts_endpoint": aws.URL,
				"auth": set{"static": set{"access_key_id": "secret://env/KMS_KEY_ID", "secret_access_key": "secret://env/KMS_SECRET"}}}},
		encrypt: func(plaintext []byte) []byte {
			out, err := client.Encrypt(t.Context(), &kms.EncryptInput{KeyId: made.KeyMetadata.KeyId, Plaintext: plaintext})
			if err != nil {
				t.Fatal(err)
			}
			return out.CiphertextBlob
		},
	}
}

func onGoogleKMS(t *testing.T) keeper {
	t.Helper()
	const key = "projects/acme/locations/global/keyRings/litellm/cryptoKeys/gateway"
	s, address := gcpkms.Start(t)
	s.CreateKey(key, kmspb.ProtectionLevel_SOFTWARE)
	return keeper{
		backend: backend{name: "gcp-kms", provider: "gcp-kms", settings: set{"key": key, "endpoint": "http://" + address, "auth": set{"none": set{}}}},
		encrypt: func(plaintext []byte) []byte {
			out, err := s.Encrypt(t.Context(), &kmspb.EncryptRequest{Name: key, Plaintext: plaintext})
			if err != nil {
				t.Fatal(err)
			}
			return out.GetCiphertext()
		},
	}
}

// A ciphertext may be in the reference itself, in a variable or in another store, and is the same secret everywhere.
func TestACiphertextIsReadAsItsSecret(t *testing.T) {
	disk := onDisk()
	for _, k := range []keeper{onAWSKMS(t), onGoogleKMS(t)} {
		t.Run(k.name, func(t *testing.T) {
			ofEnv, ofDisk := k.store(), k.store()
			ofEnv["ciphertext_from"], ofDisk["ciphertext_from"] = "env", "disk"
			for _, s := range []set{ofEnv, ofDisk} {
				delete(s, "access")
			}
			for _, plaintext := range [][]byte{first, binary} {
				ciphertext := k.encrypt(plaintext)
				p := newProgram(t, set{"kms": ofEnv, "kept": ofDisk, "disk": disk.store()},
					append(append(k.env, disk.env...), "OPENAI_API_KEY="+base64.StdEncoding.EncodeToString(ciphertext))...)
				p.wantCheck(t, "kms", k.identity)
				p.keyway(t, ciphertext, "put", "disk", "team/openai")
				p.wantValue(t, "secret://kms/OPENAI_API_KEY", plaintext)
				p.wantValue(t, "secret://kept/team/openai", plaintext)
				p.wantValue(t, "decrypt://kms/"+base64.RawURLEncoding.EncodeToString(ciphertext), plaintext)
				ciphertext[len(ciphertext)-1] ^= 1
				p.wantFailure(t, exitUsage, "store kms: decrypt", "get", "decrypt://kms/"+base64.RawURLEncoding.EncodeToString(ciphertext))
				p.wantFailure(t, exitNotFound, "not found", "get", "secret://kms/ANTHROPIC_API_KEY")
			}
		})
	}
}
