package dial_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// liar is a plugin without an SDK that answers whatever a test gives it.
type liar struct {
	pb.UnimplementedPluginServer
	calls    int
	closed   string
	md       metadata.MD
	describe *pb.DescribeResponse
	open     *pb.OpenResponse
	get      *pb.GetResponse
	batch    *pb.GetBatchResponse
	stat     *pb.StatResponse
	list     *pb.ListResponse
	versions *pb.VersionsResponse
	put      *pb.PutResponse
	encrypt  *pb.EncryptResponse
	decrypt  *pb.DecryptResponse
	events   []*pb.WatchResponse
	err      error
}

func (l *liar) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	return l.describe, l.err
}

func (l *liar) Open(context.Context, *pb.OpenRequest) (*pb.OpenResponse, error) { return l.open, nil }

func (l *liar) Close(_ context.Context, r *pb.CloseRequest) (*pb.CloseResponse, error) {
	l.closed = r.GetStore()
	return &pb.CloseResponse{}, nil
}

func (l *liar) Get(ctx context.Context, _ *pb.GetRequest) (*pb.GetResponse, error) {
	l.calls++
	l.md, _ = metadata.FromIncomingContext(ctx)
	return l.get, l.err
}

func (l *liar) GetBatch(context.Context, *pb.GetBatchRequest) (*pb.GetBatchResponse, error) {
	return l.batch, l.err
}

func (l *liar) Stat(context.Context, *pb.StatRequest) (*pb.StatResponse, error) { return l.stat, l.err }

func (l *liar) List(context.Context, *pb.ListRequest) (*pb.ListResponse, error) { return l.list, l.err }

func (l *liar) Versions(context.Context, *pb.VersionsRequest) (*pb.VersionsResponse, error) {
	return l.versions, l.err
}

func (l *liar) Put(context.Context, *pb.PutRequest) (*pb.PutResponse, error) {
	l.calls++
	return l.put, l.err
}

func (l *liar) Encrypt(context.Context, *pb.EncryptRequest) (*pb.EncryptResponse, error) {
	return l.encrypt, l.err
}

func (l *liar) Decrypt(context.Context, *pb.DecryptRequest) (*pb.DecryptResponse, error) {
	return l.decrypt, l.err
}

func (l *liar) Watch(_ *pb.WatchRequest, s grpc.ServerStreamingServer[pb.WatchResponse]) error {
	for _, e := range l.events {
		if err := s.Send(e); err != nil {
			return err
		}
	}
	return l.err
}

// listen serves l without limits of its own, so that only the host's hold.
func listen(t *testing.T, l *liar) (*dial.Plugin, *grpc.ClientConn) {
	t.Helper()
	if l.open == nil {
		l.open = &pb.OpenResponse{Capabilities: append(everything.Names(), "teleport")}
	}
	lis := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	pb.RegisterPluginServer(g, l)
	go func() { _ = g.Serve(lis) }()
	t.Cleanup(g.Stop)
	cc, err := grpc.NewClient("passthrough:///liar", append(dial.Options(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return dial.New(cc), cc
}

const everything = sdk.CanWatch<<1 - 1

func openLiar(t *testing.T, l *liar) *dial.Store {
	t.Helper()
	p, _ := listen(t, l)
	s, err := p.Open(t.Context(), "main~1", nil)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestALyingPluginIsCaught(t *testing.T) {
	big := make([]byte, sdk.MaxValue+1)
	secret := func(s *pb.Secret) *liar { return &liar{get: &pb.GetResponse{Secret: s}} }
	get := func(ctx context.Context, s *dial.Store) error {
		_, err := s.Get(ctx, sdk.GetRequest{Name: "a"})
		return err
	}
	batch := func(ctx context.Context, s *dial.Store) error {
		r, err := s.GetBatch(ctx, sdk.BatchRequest{Names: []string{"a"}})
		if err == nil {
			err = r[0].Err
		}
		return err
	}
	list := func(ctx context.Context, s *dial.Store) error {
		_, err := s.List(ctx, sdk.ListRequest{PageSize: 1})
		return err
	}
	cases := []struct {
		name string
		liar *liar
		call func(context.Context, *dial.Store) error
		want sdk.Code
	}{
		{"no secret", &liar{get: &pb.GetResponse{}}, get, sdk.Internal},
		{"an empty value", secret(&pb.Secret{Version: "1"}), get, sdk.Internal},
		{"a value over the limit", secret(&pb.Secret{Value: big}), get, sdk.DataLoss},
		{"a version over lines", secret(&pb.Secret{Value: []byte("v"), Version: "1\n2"}), get, sdk.Internal},
		{"an expiry that is no time", secret(&pb.Secret{Value: []byte("v"), Expires: &timestamppb.Timestamp{Seconds: 1 << 60}}), get, sdk.Internal},
		{"a message over the limit", secret(&pb.Secret{Value: make([]byte, sdk.MaxMessage+1)}), get, sdk.Internal},
		{"results for nobody", &liar{batch: &pb.GetBatchResponse{Results: make([]*pb.GetBatchResponse_Result, 2)}}, batch, sdk.Internal},
		{"a result that holds nothing", &liar{batch: &pb.GetBatchResponse{Results: []*pb.GetBatchResponse_Result{{}}}}, batch, sdk.Internal},
		{"another secret's metadata", &liar{stat: &pb.StatResponse{Meta: &pb.Meta{Name: "b"}}}, func(ctx context.Context, s *dial.Store) error {
			_, err := s.Stat(ctx, sdk.StatRequest{Name: "a"})
			return err
		}, sdk.Internal},
		{"a name that climbs", &liar{list: &pb.ListResponse{Items: []*pb.Meta{{Name: "../a"}}}}, list, sdk.Internal},
		{"more than the page", &liar{list: &pb.ListResponse{Items: []*pb.Meta{{Name: "a"}, {Name: "b"}}}}, list, sdk.Internal},
		{"a version without an id", &liar{versions: &pb.VersionsResponse{Versions: []*pb.Version{{}}}}, func(ctx context.Context, s *dial.Store) error {
			_, err := s.Versions(ctx, sdk.VersionsRequest{Name: "a", PageSize: 1})
			return err
		}, sdk.Internal},
		{"a written version that is too long", &liar{put: &pb.PutResponse{Version: strings.Repeat("v", sdk.MaxName+1)}}, func(ctx context.Context, s *dial.Store) error {
			_, err := s.Put(ctx, sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("v")})
			return err
		}, sdk.Internal},
		{"an empty ciphertext", &liar{encrypt: &pb.EncryptResponse{}}, func(ctx context.Context, s *dial.Store) error {
			_, err := s.Encrypt(ctx, sdk.EncryptRequest{Plaintext: sdk.SensitiveString("v")})
			return err
		}, sdk.Internal},
		{"a plaintext over the limit", &liar{decrypt: &pb.DecryptResponse{Plaintext: big}}, func(ctx context.Context, s *dial.Store) error {
			_, err := s.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte("c")})
			return err
		}, sdk.DataLoss},
		{"an event for a name that climbs", &liar{events: []*pb.WatchResponse{{}, {Name: ".."}}}, func(ctx context.Context, s *dial.Store) error {
			return s.Watch(ctx, func(sdk.Event) error { return nil })
		}, sdk.Internal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(t.Context(), openLiar(t, c.liar)); sdk.CodeOf(err) != c.want || dial.IsTransport(err) {
				t.Errorf("%v (transport %v), want %v", err, dial.IsTransport(err), c.want)
			}
		})
	}
}

func TestAManifestThatLiesIsRefused(t *testing.T) {
	good := func() *pb.DescribeResponse {
		return &pb.DescribeResponse{Name: "a", Version: "1.0.0", SettingsSchema: "{}", Capabilities: []string{"get", "teleport"}}
	}
	p, _ := listen(t, &liar{describe: good()})
	m, err := p.Describe(t.Context())
	if err != nil || strings.Join(m.Capabilities, ",") != "get" {
		t.Errorf("Describe: %v, %v; want get, without the unknown word", m.Capabilities, err)
	}
	for name, breakIt := range map[string]func(*pb.DescribeResponse){
		"a name that is a path":  func(d *pb.DescribeResponse) { d.Name = "../a" },
		"no version":             func(d *pb.DescribeResponse) { d.Version = "" },
		"a schema that is text":  func(d *pb.DescribeResponse) { d.SettingsSchema = `"x"` },
		"a schema without end":   func(d *pb.DescribeResponse) { d.SettingsSchema = "{" + strings.Repeat(" ", 256<<10) + "}" },
		"a network of its own":   func(d *pb.DescribeResponse) { d.Network = "mine" },
		"a schema with an extra": func(d *pb.DescribeResponse) { d.SettingsSchema = "{}{}" },
	} {
		d := good()
		breakIt(d)
		p, _ := listen(t, &liar{describe: d})
		if _, err := p.Describe(t.Context()); sdk.CodeOf(err) != sdk.Internal {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}

func TestOpenAnswersWhatTheStoreIs(t *testing.T) {
	reach := &pb.Reach{Endpoints: []string{"h:443"}, Files: []string{"/f"}, Ambient: true, Writes: []string{"/w"}}
	s := openLiar(t, &liar{open: &pb.OpenResponse{Capabilities: []string{"get", "teleport"}, Reach: reach}})
	r := s.Reach()
	if s.Handle() != "main~1" || s.Can() != sdk.CanGet || r == nil || r.Endpoints[0] != "h:443" || r.Files[0] != "/f" || !r.Ambient || r.Writes[0] != "/w" {
		t.Errorf("handle %q, can %v, reach %+v", s.Handle(), s.Can(), r)
	}
	if s := openLiar(t, &liar{}); s.Reach() != nil {
		t.Errorf("a store that does not tell its reach has %+v, want nil", s.Reach())
	}
	l := &liar{open: &pb.OpenResponse{Reach: &pb.Reach{Endpoints: []string{""}}}}
	p, _ := listen(t, l)
	if _, err := p.Open(t.Context(), "main~1", nil); sdk.CodeOf(err) != sdk.Internal || l.closed != "main~1" {
		t.Errorf("Open with an empty endpoint: %v, closed %q; want internal, and the store closed", err, l.closed)
	}
}

func TestWhatCannotSucceedIsNotSent(t *testing.T) {
	l := &liar{open: &pb.OpenResponse{Capabilities: []string{"get", "put"}}}
	s := openLiar(t, l)
	value := sdk.SensitiveString("v")
	_, version := s.Get(t.Context(), sdk.GetRequest{Name: "a", Version: "1"})
	_, stat := s.Stat(t.Context(), sdk.StatRequest{Name: "a"})
	_, absent := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: value, If: sdk.IfAbsent()})
	for name, err := range map[string]error{"version": version, "stat": stat, "if_absent": absent, "watch": s.Watch(t.Context(), nil)} {
		if sdk.CodeOf(err) != sdk.Unimplemented {
			t.Errorf("%s: %v, want unimplemented", name, err)
		}
	}
	_, name := s.Get(t.Context(), sdk.GetRequest{Name: "a/../b"})
	_, large := s.Put(t.Context(), sdk.PutRequest{Name: "a", Value: sdk.NewSensitive(make([]byte, sdk.MaxMessage))})
	for what, err := range map[string]error{"name": name, "value": large} {
		if sdk.CodeOf(err) != sdk.InvalidArgument {
			t.Errorf("a malformed %s: %v, want invalid argument", what, err)
		}
	}
	if l.calls != 0 {
		t.Errorf("%d calls reached the plugin, want none", l.calls)
	}
}

func TestFailuresOfTheConnectionAreToldFromAnswers(t *testing.T) {
	l := &liar{err: status.Error(codes.NotFound, "without our error")}
	p, cc := listen(t, l)
	s, err := p.Open(t.Context(), "main~1", nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context) error {
		_, err := s.Get(ctx, sdk.GetRequest{Name: "a"})
		return err
	}
	if err := get(t.Context()); !dial.IsTransport(err) || sdk.CodeOf(err) != sdk.Internal {
		t.Errorf("a status without our error: %v, want the transport's, internal", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := get(ended); dial.IsTransport(err) || sdk.CodeOf(err) != sdk.Canceled {
		t.Errorf("a call whose caller left: %v, want canceled", err)
	}
	if err := s.Restore(t.Context(), sdk.RestoreRequest{Name: "a"}); dial.IsTransport(err) || sdk.CodeOf(err) != sdk.Unimplemented {
		t.Errorf("a call that the plugin lacks: %v, want unimplemented", err)
	}
	_ = cc.Close()
	if err := get(t.Context()); !dial.IsTransport(err) || sdk.CodeOf(err) != sdk.Unavailable {
		t.Errorf("a closed connection: %v, want the transport's, unavailable", err)
	}
}

func TestTheTraceOfACallGoesAlong(t *testing.T) {
	l := &liar{get: &pb.GetResponse{Secret: &pb.Secret{Value: []byte("v")}}}
	s := openLiar(t, l)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}, TraceFlags: trace.FlagsSampled})
	if _, err := s.Get(trace.ContextWithSpanContext(t.Context(), span), sdk.GetRequest{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	want := "00-ab000000000000000000000000000000-cd00000000000000-01"
	if got := l.md.Get("traceparent"); len(got) != 1 || got[0] != want {
		t.Errorf("traceparent %q, want %q", got, want)
	}
	if _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a"}); err != nil || len(l.md.Get("traceparent")) != 0 {
		t.Errorf("without a trace: traceparent %q, %v; want none", l.md.Get("traceparent"), err)
	}
}
