//go:build e2e && unix

package gcpsm_test

import (
	"hash/crc32"
	"path"
	"slices"
	"testing"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
)

// The project of the recordings, and how many of them there are.
const project, number, files = "go-cloud-test-216917", "892942638129", 9

func recorded(t *testing.T) map[string][]recordings.Exchange {
	t.Helper()
	all := recordings.GRPC(t, "gocloud.dev", "runtimevar/gcpsecretmanager/testdata")
	if len(all) != files {
		t.Fatalf("%d recordings, want %d", len(all), files)
	}
	return all
}

// asRecorded takes out what the recorder did not send: a checksum, which must be right.
func asRecorded(sent proto.Message) proto.Message {
	r, ok := sent.(*smpb.AddSecretVersionRequest)
	if !ok {
		return sent
	}
	if sum := r.GetPayload().DataCrc32C; sum == nil || *sum != castagnoli(r.GetPayload().GetData()) {
		return nil
	}
	r.Payload.DataCrc32C = nil
	return r
}

func TestThePluginUnderstandsWhatTheRealServiceAnswered(t *testing.T) {
	for name, all := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			// The plugin has no call for this: Stat asks for the secret as well, which nobody recorded.
			exchanges := slices.DeleteFunc(all, func(e recordings.Exchange) bool { return e.Method == "GetSecretVersion" })
			replay, address := recordings.Serve(t, slices.Clone(exchanges), asRecorded)
			st := openStore(t, address, set{"project": project})
			for i, e := range exchanges {
				switch q := e.Request.(type) {
				case *smpb.AddSecretVersionRequest:
					r := sdk.PutRequest{Name: path.Base(q.GetParent()), Value: sdk.NewSensitive(q.GetPayload().GetData())}
					if made, ok := exchanges[max(0, i-1)].Request.(*smpb.CreateSecretRequest); ok {
						r.If, r.Labels = sdk.IfAbsent(), made.GetSecret().GetLabels()
					}
					got, err := st.Put(t.Context(), r)
					if want := path.Base(nameOf(e.Answer)); err != nil || got.Version != want {
						t.Errorf("put: version %q (%v), want %q", got.Version, err, want)
					}
				case *smpb.AccessSecretVersionRequest:
					got, err := st.Get(t.Context(), sdk.GetRequest{Name: path.Base(path.Dir(path.Dir(q.GetName())))})
					wantCode(t, "get", err, sdk.Code(status.Code(e.Err)))
					if want, ok := e.Answer.(*smpb.AccessSecretVersionResponse); ok &&
						(!got.Value.Equal(sdk.NewSensitive(want.GetPayload().GetData())) || got.Version != path.Base(want.GetName())) {
						t.Errorf("get: another value, or version %q, want %q", got.Version, path.Base(want.GetName()))
					}
				case *smpb.DeleteSecretRequest:
					_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: path.Base(q.GetName())})
					wantCode(t, "delete", err, sdk.OK)
				}
			}
			if n := replay.Left(); n != 0 {
				t.Errorf("%d recorded calls were not made", n)
			}
		})
	}
}

// The fake gets the recorded requests and must answer like the real service, in everything but times and etags.
func TestTheFakeAnswersLikeTheRealService(t *testing.T) {
	for name, exchanges := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			srv := gcpsm.New(project, number, "")
			for _, e := range exchanges {
				got, err := call(t, srv, e.Request)
				if g, w := status.Convert(err), status.Convert(e.Err); g.Code() != w.Code() || g.Message() != w.Message() {
					t.Errorf("%s: %v, want %v", e.Method, err, e.Err)
				}
				if e.Err == nil && !proto.Equal(timeless(got), timeless(e.Answer)) {
					t.Errorf("%s: got {%v}, want {%v}", e.Method, got, e.Answer)
				}
			}
		})
	}
}

func call(t *testing.T, srv *gcpsm.Server, request proto.Message) (proto.Message, error) {
	t.Helper()
	switch q := request.(type) {
	case *smpb.CreateSecretRequest:
		return srv.CreateSecret(t.Context(), q)
	case *smpb.AddSecretVersionRequest:
		return srv.AddSecretVersion(t.Context(), q)
	case *smpb.AccessSecretVersionRequest:
		return srv.AccessSecretVersion(t.Context(), q)
	case *smpb.GetSecretVersionRequest:
		return srv.GetSecretVersion(t.Context(), q)
	case *smpb.DeleteSecretRequest:
		return srv.DeleteSecret(t.Context(), q)
	}
	t.Fatalf("a recorded %T", request)
	return nil, nil
}

// timeless gives m without what differs between two services that answer alike.
func timeless(m proto.Message) proto.Message {
	m = proto.Clone(m)
	for _, field := range []protoreflect.Name{"create_time", "etag"} {
		if f := m.ProtoReflect().Descriptor().Fields().ByName(field); f != nil {
			if !m.ProtoReflect().Has(f) {
				continue
			}
			m.ProtoReflect().Clear(f)
		}
	}
	return m
}

func nameOf(m proto.Message) string {
	n, _ := m.(interface{ GetName() string })
	if n == nil {
		return ""
	}
	return n.GetName()
}

func castagnoli(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}
