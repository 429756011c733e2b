//go:build e2e && unix

package gcpkms_test

import (
	"bytes"
	"slices"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
)

// recorded are the calls of the real service that gocloud.dev recorded, by file: of one key with 29 versions in each, of two in
// one of them.
func recorded(t *testing.T) map[string][]recordings.Exchange {
	t.Helper()
	out := recordings.GRPC(t, "gocloud.dev", "secrets/gcpkms/testdata")
	if len(out) != 7 {
		t.Fatalf("%d recordings, want 7", len(out))
	}
	return out
}

// withChecksums are the exchanges as they would have been if the recorder had sent checksums, as we do.
func withChecksums(exchanges []recordings.Exchange) []recordings.Exchange {
	out := slices.Clone(exchanges)
	for i, e := range out {
		if a, ok := e.Answer.(*kmspb.EncryptResponse); ok {
			a = proto.CloneOf(a)
			a.VerifiedPlaintextCrc32C = true
			a.VerifiedAdditionalAuthenticatedDataCrc32C = len(e.Request.(*kmspb.EncryptRequest).GetAdditionalAuthenticatedData()) > 0
			out[i].Answer = a
		}
	}
	return out
}

// unsummed gives a request without its checksums, and nil if one is missing or wrong.
func unsummed(sent proto.Message) proto.Message {
	switch q := sent.(type) {
	case *kmspb.EncryptRequest:
		if !sumOf(q.GetPlaintext(), q.PlaintextCrc32C) || !sumOf(q.GetAdditionalAuthenticatedData(), q.AdditionalAuthenticatedDataCrc32C) {
			return nil
		}
		q.PlaintextCrc32C, q.AdditionalAuthenticatedDataCrc32C = nil, nil
	case *kmspb.DecryptRequest:
		if !sumOf(q.GetCiphertext(), q.CiphertextCrc32C) || !sumOf(q.GetAdditionalAuthenticatedData(), q.AdditionalAuthenticatedDataCrc32C) {
			return nil
		}
		q.CiphertextCrc32C, q.AdditionalAuthenticatedDataCrc32C = nil, nil
	}
	return sent
}

func TestThePluginUnderstandsWhatTheRealServiceAnswered(t *testing.T) {
	p := startPlugin(t)
	for name, exchanges := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			server, address := recordings.Serve(t, withChecksums(exchanges), unsummed)
			st := openStore(t, p, set{"endpoint": "http://" + address, "key": keyIn(exchanges)})
			for _, e := range exchanges {
				switch q := e.Request.(type) {
				case *kmspb.EncryptRequest:
					got, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: q.GetName(), Plaintext: sdk.NewSensitive(q.GetPlaintext()), AAD: q.GetAdditionalAuthenticatedData()})
					wantCode(t, "encrypt", err, sdk.Code(status.Code(e.Err))) // the numbers are the same
					if want, ok := e.Answer.(*kmspb.EncryptResponse); ok && (!bytes.Equal(got.Ciphertext, want.GetCiphertext()) || got.Key != want.GetName()) {
						t.Errorf("encrypt: another ciphertext, or the key %q, want %q", got.Key, want.GetName())
					}
				case *kmspb.DecryptRequest:
					got, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Key: q.GetName(), Ciphertext: q.GetCiphertext(), AAD: q.GetAdditionalAuthenticatedData()})
					wantCode(t, "decrypt", err, sdk.Code(status.Code(e.Err)))
					if want, ok := e.Answer.(*kmspb.DecryptResponse); ok && !got.Plaintext.Equal(sdk.NewSensitive(want.GetPlaintext())) {
						t.Error("decrypt: another plaintext")
					}
				}
			}
			if n := server.Left(); n != 0 {
				t.Errorf("%d recorded calls were not made", n)
			}
		})
	}
}

// A server that never saw a checksum has not verified it, which is what the recorded answers say of the recorder's requests.
func TestARecordedAnswerThatVerifiedNothingIsDataLoss(t *testing.T) {
	call := recorded(t)["TestEncryptDecrypt"][0]
	_, address := recordings.Serve(t, []recordings.Exchange{call, call, call}, unsummed)
	st := openStore(t, startPlugin(t), set{"endpoint": "http://" + address, "key": keyIn([]recordings.Exchange{call})})
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(call.Request.(*kmspb.EncryptRequest).GetPlaintext())})
	wantCode(t, "encrypt", err, sdk.DataLoss)
}

// The fake gets the recorded requests and must answer like the real service, in everything but the random bytes of its
// ciphertexts: what was recorded of those is done to the fake's own.
func TestTheFakeAnswersLikeTheRealService(t *testing.T) {
	for name, exchanges := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			srv := gcpkms.New()
			made := map[string][]byte{} // the fake's ciphertext for a recorded one
			for _, e := range exchanges {
				switch q := e.Request.(type) {
				case *kmspb.EncryptRequest:
					withVersions(srv, q.GetName(), 29)
					got, err := srv.Encrypt(t.Context(), q)
					if err != nil {
						t.Fatalf("encrypt: %v", err)
					}
					want := proto.CloneOf(e.Answer.(*kmspb.EncryptResponse))
					made[string(want.GetCiphertext())] = got.GetCiphertext()
					if !sumOf(got.GetCiphertext(), got.CiphertextCrc32C) || !sumOf(want.GetCiphertext(), want.CiphertextCrc32C) {
						t.Error("encrypt: a checksum does not match its ciphertext")
					}
					want.Ciphertext, want.CiphertextCrc32C, got.Ciphertext, got.CiphertextCrc32C = nil, nil, nil, nil
					wantSame(t, "encrypt", got, want)
				case *kmspb.DecryptRequest:
					withVersions(srv, q.GetName(), 29)
					own := proto.CloneOf(q)
					own.Ciphertext = likewise(q.GetCiphertext(), made)
					got, err := srv.Decrypt(t.Context(), own)
					if e.Err != nil {
						if g, w := status.Convert(err), status.Convert(e.Err); g.Code() != w.Code() || g.Message() != w.Message() {
							t.Errorf("decrypt: %v, want %v", err, e.Err)
						}
						continue
					}
					wantSame(t, "decrypt", got, e.Answer)
				}
			}
		})
	}
}

// likewise does to one of the fake's ciphertexts what the recorder did to a recorded one: nothing, or other bytes in place of
// some near its beginning or its end.
func likewise(sent []byte, made map[string][]byte) []byte {
	if own := made[string(sent)]; own != nil {
		return own
	}
	for original, own := range made {
		begin, end := 0, 0 // bytes that both begin and end with
		for begin < min(len(sent), len(original)) && sent[begin] == original[begin] {
			begin++
		}
		for end < min(len(sent), len(original))-begin && sent[len(sent)-1-end] == original[len(original)-1-end] {
			end++
		}
		if begin+end == 0 {
			continue // it was made of another one, or of none
		}
		at, gone := begin, len(original)-begin-end
		if begin > end {
			at = len(own) - end - gone
		}
		return slices.Concat(own[:at], sent[begin:len(sent)-end], own[at+gone:])
	}
	return sent
}
