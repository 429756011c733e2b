//go:build e2e && unix

package gcpkms_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	pb "github.com/google/go-replayers/grpcreplay/proto/grpcreplay"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
)

// files are what gocloud.dev recorded of the real service: one key of 29 versions in each, two in one of them.
const files = 7

// exchange is one recorded call: a request, and an answer or a status.
type exchange struct {
	request proto.Message // *kmspb.EncryptRequest or *kmspb.DecryptRequest
	answer  proto.Message // nil where err is not
	err     error
}

// recorded reads all recordings, by file.
func recorded(t *testing.T) map[string][]exchange {
	t.Helper()
	out := map[string][]exchange{}
	root := filepath.Join(recordings.Dir(t, "gocloud.dev"), "secrets", "gcpkms", "testdata")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out[strings.TrimSuffix(filepath.Base(path), ".replay")], err = parse(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != files {
		t.Fatalf("%d recordings in %s, want %d", len(out), root, files)
	}
	return out
}

// parse takes a recording apart: a mark, then records with their lengths before them, the first of which is the recorder's
// own. A request stands before its answer.
func parse(raw []byte) (out []exchange, err error) {
	r := bytes.NewReader(bytes.TrimPrefix(raw, []byte("RPCReplay")))
	for n := 0; r.Len() > 0; n++ {
		var size uint32
		if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
			return nil, err
		}
		record := make([]byte, size)
		if _, err := io.ReadFull(r, record); err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		var e pb.Entry
		if err := proto.Unmarshal(record, &e); err != nil {
			return nil, err
		}
		message, err := e.GetMessage().UnmarshalNew()
		if err != nil {
			return nil, err
		}
		last := len(out) - 1
		switch failure, failed := message.(*statuspb.Status); {
		case e.GetKind() == pb.Entry_REQUEST:
			out = append(out, exchange{request: message})
		case failed:
			out[last].err = status.ErrorProto(failure)
		default:
			out[last].answer = message
		}
	}
	return out, nil
}

// replayer answers as the real service did. The recorder sent no checksums and we do, so it verifies them itself and then
// says so, as the service would.
type replayer struct {
	kmspb.UnimplementedKeyManagementServiceServer
	mu   sync.Mutex
	left []exchange
}

func (r *replayer) take(request proto.Message) (proto.Message, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range r.left {
		if proto.Equal(e.request, request) {
			r.left = append(r.left[:i:i], r.left[i+1:]...)
			return e.answer, e.err
		}
	}
	return nil, status.Error(codes.OutOfRange, "nobody recorded this request")
}

func (r *replayer) Encrypt(_ context.Context, q *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	plainSum, aadSum := q.PlaintextCrc32C, q.AdditionalAuthenticatedDataCrc32C
	if !sumOf(q.GetPlaintext(), plainSum) || len(q.GetAdditionalAuthenticatedData()) > 0 && !sumOf(q.GetAdditionalAuthenticatedData(), aadSum) {
		return nil, status.Error(codes.OutOfRange, "a checksum is missing or wrong")
	}
	q.PlaintextCrc32C, q.AdditionalAuthenticatedDataCrc32C = nil, nil
	a, err := r.take(q)
	if err != nil {
		return nil, err
	}
	out := proto.CloneOf(a.(*kmspb.EncryptResponse))
	out.VerifiedPlaintextCrc32C, out.VerifiedAdditionalAuthenticatedDataCrc32C = plainSum != nil, aadSum != nil
	return out, nil
}

func (r *replayer) Decrypt(_ context.Context, q *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	if !sumOf(q.GetCiphertext(), q.CiphertextCrc32C) || len(q.GetAdditionalAuthenticatedData()) > 0 && !sumOf(q.GetAdditionalAuthenticatedData(), q.AdditionalAuthenticatedDataCrc32C) {
		return nil, status.Error(codes.OutOfRange, "a checksum is missing or wrong")
	}
	q.CiphertextCrc32C, q.AdditionalAuthenticatedDataCrc32C = nil, nil
	a, err := r.take(q)
	if err != nil {
		return nil, err
	}
	return a.(*kmspb.DecryptResponse), nil
}

func TestThePluginUnderstandsWhatTheRealServiceAnswered(t *testing.T) {
	p := startPlugin(t)
	for name, exchanges := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			r := &replayer{left: exchanges}
			st := openStore(t, p, set{"endpoint": "http://" + serve(t, r), "key": keyIn(exchanges)})
			for _, e := range exchanges {
				switch q := e.request.(type) {
				case *kmspb.EncryptRequest:
					got, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Key: q.GetName(), Plaintext: sdk.NewSensitive(q.GetPlaintext()), AAD: q.GetAdditionalAuthenticatedData()})
					wantStatus(t, "encrypt", err, e.err)
					if want, ok := e.answer.(*kmspb.EncryptResponse); ok && (!bytes.Equal(got.Ciphertext, want.GetCiphertext()) || got.Key != want.GetName()) {
						t.Errorf("encrypt: another ciphertext, or the key %q, want %q", got.Key, want.GetName())
					}
				case *kmspb.DecryptRequest:
					got, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Key: q.GetName(), Ciphertext: q.GetCiphertext(), AAD: q.GetAdditionalAuthenticatedData()})
					wantStatus(t, "decrypt", err, e.err)
					if want, ok := e.answer.(*kmspb.DecryptResponse); ok && !got.Plaintext.Equal(sdk.NewSensitive(want.GetPlaintext())) {
						t.Error("decrypt: another plaintext")
					}
				}
			}
			if len(r.left) != 0 {
				t.Errorf("%d recorded calls were not made", len(r.left))
			}
		})
	}
}

// A server that never saw a checksum has not verified it, which is what the recorded answers say of the recorder's requests.
func TestARecordedAnswerThatVerifiedNothingIsDataLoss(t *testing.T) {
	p := startPlugin(t)
	e := recorded(t)["TestEncryptDecrypt"][0]
	q := e.request.(*kmspb.EncryptRequest)
	st := openStore(t, p, set{"endpoint": "http://" + serve(t, unverified{answer: e.answer.(*kmspb.EncryptResponse)}), "key": q.GetName()})
	_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.NewSensitive(q.GetPlaintext())})
	wantCode(t, "encrypt", err, sdk.DataLoss)
}

type unverified struct {
	kmspb.UnimplementedKeyManagementServiceServer
	answer *kmspb.EncryptResponse
}

func (u unverified) Encrypt(context.Context, *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	return u.answer, nil
}

// The fake gets the recorded requests and must answer like the real service, in everything but the random bytes of its
// ciphertexts: what was recorded of those is done to the fake's own.
func TestTheFakeAnswersLikeTheRealService(t *testing.T) {
	for name, exchanges := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			srv := gcpkms.New()
			made := map[string][]byte{} // the fake's ciphertext for a recorded one
			for _, e := range exchanges {
				switch q := e.request.(type) {
				case *kmspb.EncryptRequest:
					withVersions(srv, q.GetName(), 29)
					got, err := srv.Encrypt(t.Context(), q)
					if err != nil {
						t.Fatalf("encrypt: %v", err)
					}
					want := proto.CloneOf(e.answer.(*kmspb.EncryptResponse))
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
					if e.err != nil {
						if g, w := status.Convert(err), status.Convert(e.err); g.Code() != w.Code() || g.Message() != w.Message() {
							t.Errorf("decrypt: %v, want %v", err, e.err)
						}
						continue
					}
					wantSame(t, "decrypt", got, e.answer)
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

// serve serves on loopback until the test ends.
func serve(t *testing.T, s kmspb.KeyManagementServiceServer) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(g, s)
	var done sync.WaitGroup
	done.Go(func() { _ = g.Serve(l) })
	t.Cleanup(func() { g.Stop(); done.Wait() })
	return l.Addr().String()
}
