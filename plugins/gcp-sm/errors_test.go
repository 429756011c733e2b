package main

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
)

func TestARefusalNamesThePermissionAndWhereItMustBe(t *testing.T) {
	srv, st := newStore(t, nil)
	put(t, st, "db", "x")
	for permission, call := range map[string]func() error{
		"secretmanager.versions.access": func() error { _, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"}); return err },
		"secretmanager.secrets.get":     func() error { _, err := st.Stat(t.Context(), sdk.StatRequest{Name: "db"}); return err },
		"secretmanager.versions.list": func() error {
			_, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: "db", PageSize: 1})
			return err
		},
		"secretmanager.versions.add": func() error {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("y")})
			return err
		},
		"secretmanager.secrets.delete": func() error { _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "db"}); return err },
	} {
		srv.Deny(permission, "db")
		err := call()
		wantCode(t, permission, err, sdk.PermissionDenied)
		if err != nil && !strings.Contains(err.Error(), "needs "+permission+" on projects/acme-prod/secrets/db") {
			t.Errorf("the error does not say what is needed: %v", err)
		}
	}
	for permission, call := range map[string]func() error{
		"secretmanager.secrets.list": func() error { _, err := st.List(t.Context(), sdk.ListRequest{PageSize: 1}); return err },
		"secretmanager.secrets.create": func() error {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "new", Value: sdk.SensitiveString("y")})
			return err
		},
	} {
		srv.Deny(permission, "")
		err := call()
		wantCode(t, permission, err, sdk.PermissionDenied)
		if err != nil && !strings.Contains(err.Error(), "needs "+permission+" on projects/acme-prod, ") {
			t.Errorf("the error does not say what is needed: %v", err)
		}
	}
}

func TestAnotherProjectIsPermissionDenied(t *testing.T) {
	_, st := newStore(t, set{"project": "another"})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get", err, sdk.PermissionDenied)
}

func TestFaultsOfTheServiceHaveTheirCodes(t *testing.T) {
	srv, st := newStore(t, nil)
	put(t, st, "db", "x")
	for code, want := range map[codes.Code]sdk.Code{
		codes.Unavailable: sdk.Unavailable, codes.Internal: sdk.Unavailable, codes.Unknown: sdk.Unavailable, codes.Canceled: sdk.Unavailable,
		codes.ResourceExhausted: sdk.ResourceExhausted, codes.InvalidArgument: sdk.InvalidArgument, codes.Unauthenticated: sdk.Unauthenticated,
		codes.Aborted: sdk.Aborted, codes.DeadlineExceeded: sdk.DeadlineExceeded,
	} {
		srv.Faults.Always(fault.Fault{Code: code})
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
		wantCode(t, code.String(), err, want)
	}
	srv.Faults.Always(fault.Fault{Malformed: true})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "an answer that is none", err, sdk.Unavailable)
	srv.Faults.Clear()
	srv.Faults.Next(2, fault.Fault{Cut: true})
	wantValue(t, st, "db", "", "x") // the third attempt
}

func TestACertificateThatNobodyTrustsIsUnavailable(t *testing.T) {
	own := httptest.NewTLSServer(nil)
	defer own.Close()
	srv := gcpsm.New("acme-prod", "892942638129", "")
	address := srv.Listen(t, grpc.Creds(credentials.NewServerTLSFromCert(&own.TLS.Certificates[0])))
	st := openStore(t, address, set{"endpoint": "https://" + address})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get", err, sdk.Unavailable)
	if err != nil && !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the error does not tell of the certificate: %v", err)
	}
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls reached the service, want none", n)
	}
}

func TestAServiceThatComesBackIsFound(t *testing.T) {
	srv := gcpsm.New("acme-prod", "892942638129", "")
	var at atomic.Value // where it listens; "": nowhere
	listen := func() (stop func()) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at.Store(l.Addr().String())
		return srv.Serve(l)
	}
	stop := listen()
	o, err := plugin().Open(t.Context(), sdk.Env{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, at.Load().(string))
	}}, settings(t, "127.0.0.1:1", nil))
	if err != nil {
		t.Fatal(err)
	}
	st := o.Store.(*store)
	defer st.Close(t.Context())
	put(t, st, "db", "x")
	at.Store("")
	stop()
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get while it is down", err, sdk.Unavailable)
	defer listen()()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err = st.Get(ctx, sdk.GetRequest{Name: "db"}); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		t.Errorf("get after it came back: %v", err)
	}
}

func TestThrottlingTellsWhenToComeAgain(t *testing.T) {
	srv, st := newStore(t, nil)
	put(t, st, "db", "x")
	srv.Faults.Always(fault.Fault{Code: codes.ResourceExhausted, RetryAfter: time.Hour})
	before := len(srv.Calls())
	ctx, cancel := withDeadline(t)
	defer cancel()
	_, err := st.Get(ctx, sdk.GetRequest{Name: "db"})
	wantCode(t, "get", err, sdk.ResourceExhausted)
	var e *sdk.Error
	if !errors.As(err, &e) || e.RetryAfter != time.Hour {
		t.Errorf("get while throttled: %v, want to be told to come again in an hour", err)
	}
	if n := len(srv.Calls()) - before; n != 1 {
		t.Errorf("%d attempts, want 1: the next one would be too late", n)
	}
}
