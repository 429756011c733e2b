package serve_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
)

// The fake claims no refinement, so every field behind one is refused, whatever a host sends.
func TestFieldsBehindAbsentCapabilitiesAreRefusedByName(t *testing.T) {
	_, raw := openFake(t, &fake{})
	const h = "main~1"
	calls := map[string]func(ctx context.Context) error{
		"version": func(ctx context.Context) error {
			_, err := raw.Get(ctx, &pb.GetRequest{Store: h, Name: "a", Version: "1"})
			return err
		},
		"if_absent": func(ctx context.Context) error {
			_, err := raw.Put(ctx, &pb.PutRequest{Store: h, Name: "a", Value: []byte("v"), Precondition: &pb.PutRequest_IfAbsent{IfAbsent: true}})
			return err
		},
		"if_version": func(ctx context.Context) error {
			_, err := raw.Put(ctx, &pb.PutRequest{Store: h, Name: "a", Value: []byte("v"), Precondition: &pb.PutRequest_IfVersion{IfVersion: "1"}})
			return err
		},
		"labels": func(ctx context.Context) error {
			_, err := raw.Put(ctx, &pb.PutRequest{Store: h, Name: "a", Value: []byte("v"), Labels: map[string]string{"k": "v"}})
			return err
		},
		"purge": func(ctx context.Context) error {
			_, err := raw.Delete(ctx, &pb.DeleteRequest{Store: h, Name: "a", Purge: true})
			return err
		},
		"recovery_window": func(ctx context.Context) error {
			_, err := raw.Delete(ctx, &pb.DeleteRequest{Store: h, Name: "a", RecoveryWindow: durationpb.New(time.Hour)})
			return err
		},
		"aad": func(ctx context.Context) error {
			_, err := raw.Encrypt(ctx, &pb.EncryptRequest{Store: h, Plaintext: []byte("v"), Aad: []byte("x")})
			return err
		},
		"no such call": func(ctx context.Context) error {
			_, err := raw.Restore(ctx, &pb.RestoreRequest{Store: h, Name: "a"})
			return err
		},
	}
	for says, call := range calls {
		if err := call(t.Context()); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want unimplemented that names it", says, err)
		}
	}
}

func TestMalformedRequestsNeverReachTheProvider(t *testing.T) {
	asked := false
	_, raw := openFake(t, &fake{get: func(context.Context, sdk.GetRequest) (sdk.Secret, error) {
		asked = true
		return sdk.Secret{}, nil
	}})
	for name, call := range map[string]func() error{
		"a name that climbs": func() error {
			_, err := raw.Get(t.Context(), &pb.GetRequest{Store: "main~1", Name: "../a"})
			return err
		},
		"a page without a size": func() error {
			_, err := raw.List(t.Context(), &pb.ListRequest{Store: "main~1"})
			return err
		},
		"an empty value": func() error {
			_, err := raw.Put(t.Context(), &pb.PutRequest{Store: "main~1", Name: "a"})
			return err
		},
		"an opening without a handle": func() error {
			_, err := raw.Open(t.Context(), &pb.OpenRequest{})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want invalid argument", name, err)
		}
	}
	if asked {
		t.Error("the provider was asked")
	}
}

func TestProvidersThatBreakTheContractAreCaughtInThePlugin(t *testing.T) {
	big := sdk.NewSensitive(make([]byte, sdk.MaxValue+1))
	_, raw := openFake(t, &fake{
		get: func(_ context.Context, r sdk.GetRequest) (sdk.Secret, error) {
			switch r.Name {
			case "big":
				return sdk.Secret{Value: big}, nil
			case "grpc":
				return sdk.Secret{}, status.Error(codes.Unavailable, "a cloud's own status")
			}
			return sdk.Secret{}, nil
		},
		meta: sdk.Meta{Name: "other"},
		page: sdk.ListPage{Items: []sdk.Meta{{Name: "a/./b"}}},
		put:  sdk.PutResult{Version: "\x00"},
	})
	get := func(name string) func() error {
		return func() error {
			_, err := raw.Get(t.Context(), &pb.GetRequest{Store: "main~1", Name: name})
			return err
		}
	}
	cases := []struct {
		name string
		call func() error
		want codes.Code
	}{
		{"an empty value", get("empty"), codes.Internal},
		{"a value over the limit", get("big"), codes.InvalidArgument},
		{"an error that nobody classified", get("grpc"), codes.Unknown},
		{"a batch of the wrong length", func() error {
			_, err := raw.GetBatch(t.Context(), &pb.GetBatchRequest{Store: "main~1", Names: []string{"a"}})
			return err
		}, codes.Internal},
		{"another secret's metadata", func() error {
			_, err := raw.Stat(t.Context(), &pb.StatRequest{Store: "main~1", Name: "a"})
			return err
		}, codes.Internal},
		{"a listed name that no read takes", func() error {
			_, err := raw.List(t.Context(), &pb.ListRequest{Store: "main~1", PageSize: 10})
			return err
		}, codes.Internal},
		{"a version that is not text", func() error {
			_, err := raw.Put(t.Context(), &pb.PutRequest{Store: "main~1", Name: "a", Value: []byte("v")})
			return err
		}, codes.Internal},
		{"an empty ciphertext", func() error {
			_, err := raw.Encrypt(t.Context(), &pb.EncryptRequest{Store: "main~1", Plaintext: []byte("v")})
			return err
		}, codes.Internal},
		{"an empty plaintext", func() error {
			_, err := raw.Decrypt(t.Context(), &pb.DecryptRequest{Store: "main~1", Ciphertext: []byte("v")})
			return err
		}, codes.Internal},
	}
	for _, c := range cases {
		err := c.call()
		if status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if len(status.Convert(err).Details()) != 1 {
			t.Errorf("%s: the status has %d details, want our error", c.name, len(status.Convert(err).Details()))
		}
	}
}

func TestAPageOverTheMessageLimitSaysSo(t *testing.T) {
	page := sdk.ListPage{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		page.Items = append(page.Items, sdk.Meta{Name: name, Description: strings.Repeat("d", sdk.MaxValue)})
	}
	s, _ := openFake(t, &fake{page: page})
	_, err := s.List(t.Context(), sdk.ListRequest{PageSize: 500})
	if sdk.CodeOf(err) != sdk.InvalidArgument || !strings.Contains(err.Error(), "4194304") || !strings.Contains(err.Error(), "smaller pages") {
		t.Errorf("List: %v, want invalid argument, the limit and what to do", err)
	}
}

func TestABatchOverTheMessageLimitAnswersWhatFits(t *testing.T) {
	full := sdk.GetResult{Secret: sdk.Secret{Value: sdk.NewSensitive(make([]byte, sdk.MaxValue))}}
	s, _ := openFake(t, &fake{batch: []sdk.GetResult{full, full, full, full, full}})
	got, err := s.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"a", "b", "c", "d", "e"}})
	if err != nil {
		t.Fatalf("GetBatch: %v", err)
	}
	for i, want := range []sdk.Code{sdk.OK, sdk.OK, sdk.OK, sdk.ResourceExhausted, sdk.ResourceExhausted} {
		var e *sdk.Error
		if sdk.CodeOf(got[i].Err) != want || errors.As(got[i].Err, &e) && e.Reason != dial.ReasonMessageLimit {
			t.Errorf("result %d: %v, want %v", i, got[i].Err, want)
		}
	}
}

func TestCallsHaveADeadlineAndTheCallersTrace(t *testing.T) {
	id := trace.TraceID{1, 2, 3}
	var deadline bool
	var got trace.TraceID
	s, _ := openFake(t, &fake{
		get: func(ctx context.Context, _ sdk.GetRequest) (sdk.Secret, error) {
			_, deadline = ctx.Deadline()
			got = trace.SpanContextFromContext(ctx).TraceID()
			return sdk.Secret{Value: sdk.SensitiveString("v")}, nil
		},
		watch: func(ctx context.Context, emit func(sdk.Event) error) error {
			got = trace.SpanContextFromContext(ctx).TraceID()
			return emit(sdk.Event{})
		},
	})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{4}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	if _, err := s.Get(ctx, sdk.GetRequest{Name: "a"}); err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !deadline || got != id {
		t.Errorf("the provider saw a deadline: %v, trace %v; want true, %v", deadline, got, id)
	}
	got = trace.TraceID{}
	err := s.Watch(ctx, func(sdk.Event) error { return nil })
	if got != id || sdk.CodeOf(err) != sdk.Unavailable {
		t.Errorf("Watch that the plugin ends: trace %v, %v; want %v, unavailable", got, err, id)
	}
}

func TestPanicsAreAnsweredWithTheirType(t *testing.T) {
	s, _ := openFake(t, &fake{
		get:   func(context.Context, sdk.GetRequest) (sdk.Secret, error) { panic(errors.New("canary")) },
		watch: func(context.Context, func(sdk.Event) error) error { panic("canary") },
		close: func(context.Context) error { panic("canary") },
	})
	_, get := s.Get(t.Context(), sdk.GetRequest{Name: "a"})
	watch := s.Watch(t.Context(), func(sdk.Event) error { return nil })
	closing := s.Close(t.Context())
	for name, err := range map[string]error{"get": get, "watch": watch, "close": closing} {
		if sdk.CodeOf(err) != sdk.Internal || dial.IsTransport(err) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want internal without the panic's value", name, err)
		}
	}
}
