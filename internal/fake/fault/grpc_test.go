package fault_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

// fake is a service that counts its calls and tells whether it was asked for a wrong checksum.
type fake struct {
	health.UnimplementedHealthServer
	calls chan fault.Fault
}

func (f *fake) Check(ctx context.Context, _ *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	f.calls <- fault.FromContext(ctx)
	return &health.HealthCheckResponse{Status: health.HealthCheckResponse_SERVING}, nil
}

func dialed(t *testing.T, i *fault.Injector) (health.HealthClient, *fake) {
	t.Helper()
	f := &fake{calls: make(chan fault.Fault, 10)}
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(i.Unary()))
	health.RegisterHealthServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///fake", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return health.NewHealthClient(conn), f
}

func TestCallsMeetTheirFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault fault.Fault
		want  codes.Code
		calls int // that reach the service
	}{
		"none":      {fault.Fault{}, codes.OK, 1},
		"a code":    {fault.Fault{Code: codes.PermissionDenied}, codes.PermissionDenied, 0},
		"cut":       {fault.Fault{Cut: true}, codes.Unavailable, 1},
		"malformed": {fault.Fault{Malformed: true}, codes.Internal, 1},
		"slow":      {fault.Fault{Slow: 10 * time.Millisecond}, codes.OK, 1},
		"late":      {fault.Fault{Latency: 10 * time.Millisecond}, codes.OK, 1},
		"wrong crc": {fault.Fault{WrongCRC: true}, codes.OK, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var i fault.Injector
			i.Next(1, c.fault)
			client, f := dialed(t, &i)
			_, err := client.Check(t.Context(), &health.HealthCheckRequest{})
			if got := status.Code(err); got != c.want {
				t.Errorf("got %v (%v), want %v", got, err, c.want)
			}
			if got := len(f.calls); got != c.calls {
				t.Fatalf("%d calls reached the service, want %d", got, c.calls)
			}
			if c.calls == 1 && (<-f.calls).WrongCRC != c.fault.WrongCRC {
				t.Error("the service has not seen the fault")
			}
			if _, err := client.Check(t.Context(), &health.HealthCheckRequest{}); err != nil {
				t.Errorf("the call after it: %v", err)
			}
		})
	}
}

func TestAThrottledCallTellsWhenToComeBack(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Code: codes.ResourceExhausted, RetryAfter: 1500 * time.Millisecond, Body: "quota"})
	client, _ := dialed(t, &i)
	_, err := client.Check(t.Context(), &health.HealthCheckRequest{})
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted || s.Message() != "quota" || len(s.Details()) != 1 {
		t.Fatalf("got %v, want ResourceExhausted with one detail", err)
	}
	if info, ok := s.Details()[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() != 1500*time.Millisecond {
		t.Errorf("got %v, want a delay of 1.5 s", s.Details()[0])
	}
}

func TestALateCallEndsWithItsCaller(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Latency: time.Hour})
	client, f := dialed(t, &i)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Check(ctx, &health.HealthCheckRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	if got := len(f.calls); got != 0 {
		t.Errorf("%d calls reached the service, want none", got)
	}
}
