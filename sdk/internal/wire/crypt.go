package wire

import (
	"github.com/keyway-dev/keyway/sdk"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// EncodeEncrypt gives the message of an encryption. It shares the bytes of plaintext and additional data.
func EncodeEncrypt(handle string, r sdk.EncryptRequest) *pb.EncryptRequest {
	return &pb.EncryptRequest{Store: handle, Key: valid(r.Key), Plaintext: r.Plaintext.Reveal(), Aad: r.AAD}
}

// DecodeEncrypt takes the message of an encryption.
func DecodeEncrypt(p *pb.EncryptRequest) sdk.EncryptRequest {
	return sdk.EncryptRequest{Key: p.GetKey(), Plaintext: sdk.NewSensitive(p.GetPlaintext()), AAD: p.GetAad()}
}

// EncodeEncryptResult gives the answer of an encryption.
func EncodeEncryptResult(r sdk.EncryptResult) *pb.EncryptResponse {
	return &pb.EncryptResponse{Ciphertext: r.Ciphertext, Key: valid(r.Key)}
}

// DecodeEncryptResult takes the answer of an encryption.
func DecodeEncryptResult(p *pb.EncryptResponse) sdk.EncryptResult {
	return sdk.EncryptResult{Ciphertext: p.GetCiphertext(), Key: p.GetKey()}
}

// EncodeDecrypt gives the message of a decryption.
func EncodeDecrypt(handle string, r sdk.DecryptRequest) *pb.DecryptRequest {
	return &pb.DecryptRequest{Store: handle, Key: valid(r.Key), Ciphertext: r.Ciphertext, Aad: r.AAD}
}

// DecodeDecrypt takes the message of a decryption.
func DecodeDecrypt(p *pb.DecryptRequest) sdk.DecryptRequest {
	return sdk.DecryptRequest{Key: p.GetKey(), Ciphertext: p.GetCiphertext(), AAD: p.GetAad()}
}

// EncodeDecryptResult gives the answer of a decryption.
func EncodeDecryptResult(r sdk.DecryptResult) *pb.DecryptResponse {
	return &pb.DecryptResponse{Plaintext: r.Plaintext.Reveal(), Key: valid(r.Key)}
}

// DecodeDecryptResult takes the answer of a decryption.
func DecodeDecryptResult(p *pb.DecryptResponse) sdk.DecryptResult {
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(p.GetPlaintext()), Key: p.GetKey()}
}
