package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/keyway-dev/keyway/plugins/internal/awsauth"
	"github.com/keyway-dev/keyway/sdk"
)

// Limits of the service, in bytes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
const maxCiphertext = 6144

// maxPlaintext is by algorithm. For RSA it is that of the largest keys, of 4096 bits; AWS knows the others.
var maxPlaintext = map[string]int{symmetric: 4096, "RSAES_OAEP_SHA_1": 470, "RSAES_OAEP_SHA_256": 446, "SM2PKE": 1024}

// store encrypts and decrypts with the keys of one region.
type store struct {
	s       Settings
	session *awsauth.Session
	client  *kms.Client
}

var (
	_ sdk.Encrypter = (*store)(nil)
	_ sdk.Decrypter = (*store)(nil)
)

func plugin() *sdk.Plugin {
	compat := awsauth.Compat()
	maps.Copy(compat, map[string]string{
		"litellm.system":            "aws_kms",
		"litellm.ciphertexts":       "env",
		"litellm.decrypt.switch":    "USE_AWS_KMS",
		"litellm.decrypt.variables": "LITELLM_SECRET_AWS_KMS_",
		"litellm.decrypt.values":    "aws_kms/",
		"litellm.default./trim":     "true",
		// The order of boto3's chain, which LiteLLM leaves the login to.
		"litellm.order./auth": "static,web_identity,profile,container,instance,default",
	})
	return sdk.Define(sdk.About{
		Name:    "aws-kms",
		Version: version,
		Summary: "AWS Key Management Service: encrypts and decrypts with symmetric and asymmetric keys",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/aws-kms.md",
		Compat:  compat,
	}, open)
}

func open(_ context.Context, env sdk.Env, s Settings) (*store, error) {
	connection := s.connection()
	session, err := connection.Open(env)
	if err != nil {
		return nil, err
	}
	return &store{s: s, session: session, client: kms.NewFromConfig(session.Config)}, nil
}

// noCiphertext is what Check has decrypted. KMS refuses it as soon as it has accepted the login and its permission.
const noCiphertext = "keyway looks if it may"

// stsTimeout bounds the question whom STS takes us for: without an answer KMS works all the same.
const stsTimeout = 5 * time.Second

// Check has KMS decrypt what is no ciphertext, which needs no more permission than every other call, and asks STS whose
// login it is, which needs none. What is wrong with the key of the settings is a note: the login works. Where there is no
// key to try, STS alone decides.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	var r sdk.Report
	asksKMS := st.s.Algorithm == symmetric || st.s.Key != ""
	_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte(noCiphertext)})
	switch sdk.CodeOf(err) {
	case sdk.OK, sdk.InvalidArgument:
	case sdk.NotFound, sdk.FailedPrecondition:
		r.Notes = append(r.Notes, err.Error())
	default:
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	if r.Identity, err = st.session.Identity(ctx); err != nil {
		if !asksKMS {
			return r, err
		}
		r.Notes = append(r.Notes, fmt.Sprintf("whose login it is cannot be told: %v", err))
	}
	return r, nil
}

// Close drops the store's connections.
func (st *store) Close(context.Context) error {
	st.session.Close()
	return nil
}

// Encrypt answers the key's ARN, also where it was named by an alias.
func (st *store) Encrypt(ctx context.Context, r sdk.EncryptRequest) (sdk.EncryptResult, error) {
	key, err := st.key("encrypt", r.Key)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	if key == "" {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.InvalidArgument, "encrypt: no key is named, neither by the call nor by the setting key")
	}
	if n, most := r.Plaintext.Len(), maxPlaintext[st.s.Algorithm]; n > most {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.InvalidArgument, "encrypt %q: %d bytes are over the limit of %d for %s", key, n, most, st.s.Algorithm)
	}
	pairs, err := st.context("encrypt", r.AAD)
	if err != nil {
		return sdk.EncryptResult{}, err
	}
	out, err := awsauth.Do(ctx, st.session, encrypting(key), st.client.Encrypt, &kms.EncryptInput{
		KeyId: aws.String(key), Plaintext: r.Plaintext.Reveal(), EncryptionContext: pairs, EncryptionAlgorithm: st.algorithm(), GrantTokens: st.s.GrantTokens,
	})
	if err != nil {
		return sdk.EncryptResult{}, st.explain(ctx, key, err)
	}
	if len(out.CiphertextBlob) == 0 {
		return sdk.EncryptResult{}, sdk.Errorf(sdk.Internal, "encrypt %q: the answer holds no ciphertext", key)
	}
	return sdk.EncryptResult{Ciphertext: out.CiphertextBlob, Key: aws.ToString(out.KeyId)}, nil
}

// Decrypt needs no key for a symmetric ciphertext, which names its own. Where one is named, no other key will do.
func (st *store) Decrypt(ctx context.Context, r sdk.DecryptRequest) (sdk.DecryptResult, error) {
	key, err := st.key("decrypt", r.Key)
	switch {
	case err != nil:
		return sdk.DecryptResult{}, err
	case key == "" && st.s.Algorithm != symmetric:
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: an asymmetric ciphertext does not name its key, and neither does the call or the setting key")
	case len(r.Ciphertext) > maxCiphertext:
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: %d bytes are over the limit of %d for a ciphertext", len(r.Ciphertext), maxCiphertext)
	case len(bytes.Trim(r.Ciphertext, "\x00")) == 0: // a file that was allocated and never written
		return sdk.DecryptResult{}, sdk.Errorf(sdk.InvalidArgument, "decrypt: %d bytes that are all zero are no ciphertext", len(r.Ciphertext))
	}
	pairs, err := st.context("decrypt", r.AAD)
	if err != nil {
		return sdk.DecryptResult{}, err
	}
	in := &kms.DecryptInput{CiphertextBlob: r.Ciphertext, EncryptionContext: pairs, EncryptionAlgorithm: st.algorithm(), GrantTokens: st.s.GrantTokens}
	if key != "" {
		in.KeyId = aws.String(key)
	}
	out, err := awsauth.Do(ctx, st.session, decrypting(key), st.client.Decrypt, in)
	if err != nil {
		return sdk.DecryptResult{}, st.explain(ctx, key, err)
	}
	return st.plaintext(out)
}

// plaintext reads the answer. An empty one is none.
func (st *store) plaintext(out *kms.DecryptOutput) (sdk.DecryptResult, error) {
	plain, key := out.Plaintext, aws.ToString(out.KeyId)
	if len(plain) == 0 {
		return sdk.DecryptResult{}, sdk.Errorf(sdk.DataLoss, "decrypt %q: the answer holds no plaintext", key)
	}
	if st.s.Trim {
		if plain = bytes.TrimSpace(plain); len(plain) == 0 {
			return sdk.DecryptResult{}, sdk.Errorf(sdk.FailedPrecondition, "decrypt %q: the plaintext is nothing but white space", key)
		}
	}
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(plain), Key: key}, nil
}

// key gives the key of a call: its own, or that of the settings.
func (st *store) key(op, own string) (string, error) {
	switch region := regionOf(own); {
	case own == "":
		return st.s.Key, nil
	case !keyForm.MatchString(own):
		return "", sdk.Errorf(sdk.InvalidArgument, "%s: %q is not a key's id or ARN, alias/NAME or an alias's ARN", op, own)
	case region != "" && region != st.s.Region:
		return "", sdk.Errorf(sdk.InvalidArgument, "%s: %q is a key of the region %s, and the store is of %s", op, own, region, st.s.Region)
	}
	return own, nil
}

// algorithm is left away where it is what AWS takes anyway.
func (st *store) algorithm() types.EncryptionAlgorithmSpec {
	if st.s.Algorithm == symmetric {
		return ""
	}
	return types.EncryptionAlgorithmSpec(st.s.Algorithm)
}
