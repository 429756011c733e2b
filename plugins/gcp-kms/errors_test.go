package main

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryStatusHasACodeThatTellsWhatToDo(t *testing.T) {
	for c, want := range map[codes.Code]sdk.Code{
		codes.InvalidArgument:    sdk.InvalidArgument,
		codes.OutOfRange:         sdk.InvalidArgument,
		codes.NotFound:           sdk.NotFound,
		codes.AlreadyExists:      sdk.AlreadyExists,
		codes.PermissionDenied:   sdk.PermissionDenied,
		codes.Unauthenticated:    sdk.Unauthenticated,
		codes.ResourceExhausted:  sdk.ResourceExhausted,
		codes.FailedPrecondition: sdk.FailedPrecondition,
		codes.Unimplemented:      sdk.Unimplemented,
		codes.DataLoss:           sdk.DataLoss,
		codes.DeadlineExceeded:   sdk.DeadlineExceeded,
		codes.Unavailable:        sdk.Unavailable,
		codes.Internal:           sdk.Unavailable,
		codes.Unknown:            sdk.Unavailable,
		codes.Canceled:           sdk.Unavailable, // by the service: the caller is still here
	} {
		for _, op := range []string{"encrypt", "decrypt", "check"} {
			err := classify(t.Context(), op, testKey, status.Error(c, "words\nof the service"))
			wantCode(t, op+" answered "+c.String(), err, want)
			if m := err.Error(); !strings.Contains(m, op) || !strings.Contains(m, testKey) || strings.Contains(m, "\n") {
				t.Errorf("%s: %q is not one line with op and key", c, m)
			}
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	wantCode(t, "our caller left", classify(gone, "decrypt", testKey, status.FromContextError(gone.Err()).Err()), sdk.Canceled)
	wantCode(t, "no status at all", classify(t.Context(), "decrypt", testKey, errors.New("cannot dial")), sdk.Unavailable)
	if err := classify(t.Context(), "decrypt", testKey, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// What is wrong with an Encrypt is found in its fields, one of which is the value.
func TestWordsOfTheServiceNeverQuoteAPlaintext(t *testing.T) {
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		said := classify(t.Context(), "decrypt", testKey, status.Error(c, "canary")).Error()
		quoted := classify(t.Context(), "encrypt", testKey, status.Error(c, "canary")).Error()
		switch c {
		case codes.Canceled, codes.Unknown, codes.InvalidArgument, codes.Internal, codes.DataLoss, codes.OutOfRange, codes.AlreadyExists,
			codes.Aborted, codes.Unimplemented:
			if strings.Contains(quoted, "canary") {
				t.Errorf("encrypt answered %s: %q quotes the service", c, quoted)
			}
		case codes.DeadlineExceeded:
		default:
			if !strings.Contains(quoted, "canary") || !strings.Contains(said, "canary") {
				t.Errorf("%s: neither %q nor %q may leave out why", c, quoted, said)
			}
		}
	}
}

func TestDetailsOfAStatusAreKept(t *testing.T) {
	st, err := status.New(codes.FailedPrecondition, "no").WithDetails(
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "KEY_DISABLED"}}},
		&errdetails.RequestInfo{RequestId: "r-1"})
	if err != nil {
		t.Fatal(err)
	}
	if e := asError(classify(t.Context(), "decrypt", testKey, st.Err())); e.Reason != "KEY_DISABLED" || e.RequestID != "r-1" {
		t.Errorf("reason %q and request id %q, want KEY_DISABLED and r-1", e.Reason, e.RequestID)
	}
	if e := asError(classify(t.Context(), "decrypt", testKey, status.Error(codes.NotFound, ""))); e.Reason != "NOT_FOUND" {
		t.Errorf("reason %q without details, want the status's own name", e.Reason)
	}
}

func TestAThrottledCallComesAgainWhenToldIfThereIsTime(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r := encrypt(t, st, "value")

	before := len(srv.Calls())
	srv.Faults.Next(1, fault.Fault{Code: codes.ResourceExhausted, RetryAfter: 10 * time.Millisecond})
	if _, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext}); err != nil {
		t.Errorf("throttled once: %v", err)
	}
	if n := len(srv.Calls()) - before; n != 2 {
		t.Errorf("throttled once: %d calls, want 2", n)
	}

	before = len(srv.Calls())
	srv.Faults.Next(1, fault.Fault{Code: codes.ResourceExhausted, RetryAfter: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext})
	wantCode(t, "throttled for an hour", err, sdk.ResourceExhausted)
	if e := asError(err); e.RetryAfter != time.Hour || len(srv.Calls())-before != 1 {
		t.Errorf("throttled for an hour: retry after %v and %d calls, want 1h and one call", e.RetryAfter, len(srv.Calls())-before)
	}
}

func TestWhatPassesIsTriedThreeTimesAndWhatDoesNotOnce(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r := encrypt(t, st, "value")
	for what, c := range map[string]struct {
		fault fault.Fault
		want  sdk.Code
		calls int
	}{
		"unavailable":       {fault.Fault{Code: codes.Unavailable}, sdk.Unavailable, 3},
		"internal":          {fault.Fault{Code: codes.Internal}, sdk.Unavailable, 3},
		"cut":               {fault.Fault{Cut: true}, sdk.Unavailable, 3},
		"malformed":         {fault.Fault{Malformed: true}, sdk.Unavailable, 3},
		"throttled":         {fault.Fault{Code: codes.ResourceExhausted}, sdk.ResourceExhausted, 3},
		"wrong checksum":    {fault.Fault{WrongCRC: true}, sdk.DataLoss, 3},
		"permission denied": {fault.Fault{Code: codes.PermissionDenied}, sdk.PermissionDenied, 1},
		"not found":         {fault.Fault{Code: codes.NotFound}, sdk.NotFound, 1},
		"invalid":           {fault.Fault{Code: codes.InvalidArgument}, sdk.InvalidArgument, 1},
	} {
		before := len(srv.Calls())
		srv.Faults.Next(c.calls, c.fault)
		_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext})
		wantCode(t, what, err, c.want)
		if n := len(srv.Calls()) - before; n != c.calls {
			t.Errorf("%s: %d calls, want %d", what, n, c.calls)
		}
	}
	srv.Faults.Next(2, fault.Fault{Code: codes.Unavailable})
	if _, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: r.Ciphertext}); err != nil {
		t.Errorf("unavailable twice: %v", err)
	}
}

func TestACallEndsWithItsCaller(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	r := encrypt(t, st, "value")
	srv.Faults.Always(fault.Fault{Latency: time.Hour})
	before := len(srv.Calls())

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: r.Ciphertext})
		ended <- err
	}()
	waitFor(t, "the call to arrive", func() bool { return len(srv.Calls()) > before })
	cancel()
	wantCode(t, "the caller left", <-ended, sdk.Canceled)

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := st.Decrypt(short, sdk.DecryptRequest{Ciphertext: r.Ciphertext})
	wantCode(t, "the time is over", err, sdk.DeadlineExceeded)
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	st := openStore(t, "127.0.0.1:1", nil) // tcpmux, which nobody runs
	_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("x")})
	wantCode(t, "decrypt", err, sdk.Unavailable)
	_, err = st.Check(t.Context())
	wantCode(t, "check", err, sdk.Unavailable)
}

func TestACertificateThatIsNotTrustedIsUnavailable(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate, which nobody trusts
	web.Close()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := gcpkms.New()
	t.Cleanup(srv.Serve(l, grpc.Creds(credentials.NewServerTLSFromCert(&web.TLS.Certificates[0]))))
	st := openStore(t, l.Addr().String(), map[string]any{"endpoint": "https://" + l.Addr().String(), "auth": map[string]any{"token": map[string]any{"access_token": "canary"}}})
	_, err = st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("x")})
	wantCode(t, "decrypt", err, sdk.Unavailable)
	if !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error tells not why, or a secret: %v", err)
	}
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls reached a server that is not trusted, want none", n)
	}
}

func TestALoginThatIsRefusedIsUnauthenticated(t *testing.T) {
	srv, address := newServer(t)
	st := openStore(t, address, nil)
	srv.Accept(func(string) bool { return false })
	_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("x")})
	wantCode(t, "decrypt", err, sdk.Unauthenticated)
	if e := asError(err); e.Reason != "CREDENTIALS_MISSING" {
		t.Errorf("the reason is %q, want Google's own", e.Reason)
	}
	_, err = st.Check(t.Context())
	wantCode(t, "check", err, sdk.Unauthenticated)
}
