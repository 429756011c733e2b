package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

// faulty puts faults between a store and a service that decrypts.
func faulty(t *testing.T) (*fault.Injector, *store) {
	t.Helper()
	var i fault.Injector
	srv := httptest.NewServer(i.Handler(reply(200, decrypted)))
	t.Cleanup(srv.Close)
	return &i, openStore(t, srv.URL, nil)
}

func TestAFaultThatPassesCostsAnAttemptAndOneThatStaysHasItsCode(t *testing.T) {
	for name, tc := range map[string]struct {
		fault fault.Fault
		want  sdk.Code
	}{
		"a service down":    {fault.Fault{Status: http.StatusServiceUnavailable}, sdk.Unavailable},
		"a bad gateway":     {fault.Fault{Status: http.StatusBadGateway, Body: `<html>`}, sdk.Unavailable},
		"too many requests": {fault.Fault{Status: http.StatusTooManyRequests}, sdk.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			i, st := faulty(t)
			i.Next(1, tc.fault)
			if _, err := decrypt(st, t, sdk.DecryptRequest{}); err != nil {
				t.Errorf("decrypt after one fault: %v", err)
			}
			i.Always(tc.fault)
			_, err := decrypt(st, t, sdk.DecryptRequest{})
			wantCode(t, "decrypt while the fault stays", err, tc.want)
		})
	}
}

func TestASlowAnswerIsAnAnswerAndHalfOfOneIsNot(t *testing.T) {
	i, st := faulty(t)
	i.Next(1, fault.Fault{Latency: 20 * time.Millisecond, Slow: 100 * time.Millisecond})
	if _, err := decrypt(st, t, sdk.DecryptRequest{}); err != nil {
		t.Errorf("decrypt with a slow answer: %v", err)
	}
	i.Next(1, fault.Fault{Cut: true})
	_, err := decrypt(st, t, sdk.DecryptRequest{})
	wantCode(t, "decrypt with half an answer", err, sdk.Unavailable)
	i.Always(fault.Fault{Malformed: true})
	_, err = decrypt(st, t, sdk.DecryptRequest{})
	wantCode(t, "decrypt with a malformed answer", err, sdk.Internal)
}
