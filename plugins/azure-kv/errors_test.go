package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryAnswerOfTheVaultHasItsCode(t *testing.T) {
	body := func(code, inner string) string {
		if inner != "" {
			inner = `,"innererror":{"code":"` + inner + `"}`
		}
		return `{"error":{"code":"` + code + `","message":"words"` + inner + `}}`
	}
	for name, c := range map[string]struct {
		fault  fault.Fault
		want   sdk.Code
		reason string
		says   string
	}{
		"bad parameter":    {fault.Fault{Status: 400, Body: body("BadParameter", "")}, sdk.InvalidArgument, "BadParameter", "words"},
		"no role":          {fault.Fault{Status: 403, Body: body("Forbidden", "ForbiddenByRbac")}, sdk.PermissionDenied, "ForbiddenByRbac", "Microsoft.KeyVault/vaults/secrets/getSecret/action"},
		"no access policy": {fault.Fault{Status: 403, Body: body("Forbidden", "AccessDenied")}, sdk.PermissionDenied, "AccessDenied", "get secrets"},
		"firewall":         {fault.Fault{Status: 403, Body: body("Forbidden", "ForbiddenByFirewall")}, sdk.PermissionDenied, "ForbiddenByFirewall", "network rules"},
		"disabled":         {fault.Fault{Status: 403, Body: body("Forbidden", "SecretDisabled")}, sdk.FailedPrecondition, "SecretDisabled", "disabled"},
		"missing":          {fault.Fault{Status: 404, Body: body("SecretNotFound", "")}, sdk.NotFound, "SecretNotFound", "x"},
		"not a vault":      {fault.Fault{Status: 404, Body: "<html>nothing here</html>"}, sdk.FailedPrecondition, "", "address"},
		"conflict":         {fault.Fault{Status: 409, Body: body("Conflict", "ObjectIsDeletedButRecoverable")}, sdk.FailedPrecondition, "ObjectIsDeletedButRecoverable", "restore"},
		"throttled":        {fault.Fault{Status: 429, RetryAfter: 61 * time.Second, Body: body("Throttled", "")}, sdk.ResourceExhausted, "Throttled", "429"},
		"down":             {fault.Fault{Status: 503, RetryAfter: 61 * time.Second}, sdk.Unavailable, "", "503"},
		"moved":            {fault.Fault{Status: 301}, sdk.Internal, "", "301"},
		"malformed":        {fault.Fault{Malformed: true}, sdk.Internal, "", "not Key Vault's"},
	} {
		t.Run(name, func(t *testing.T) {
			s := azurekv.Start(t)
			st := opened(t, s, nil)
			put(t, st, "x", "v")
			s.Faults.Always(c.fault)
			_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
			wantCode(t, "get", err, c.want)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Reason != c.reason || !strings.Contains(e.Message, c.says) || strings.Contains(e.Message, "\n") {
				t.Errorf("got %v with reason %q; want %q and the words %q", err, e.Reason, c.reason, c.says)
			}
			if e.RetryAfter != c.fault.RetryAfter {
				t.Errorf("retry after %v, want %v", e.RetryAfter, c.fault.RetryAfter)
			}
		})
	}
}

func TestATransientFailureIsTriedThreeTimes(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	for name, f := range map[string]fault.Fault{"503": {Status: 503}, "429": {Status: 429}, "cut": {Cut: true}} {
		s.Faults.Next(attempts-1, f)
		wantValue(t, st, "x", "v")
		s.Faults.Next(attempts, f)
		if _, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"}); sdk.CodeOf(err) != sdk.Unavailable && sdk.CodeOf(err) != sdk.ResourceExhausted {
			t.Errorf("%s, three times: %v; want that it is told", name, err)
		}
		wantValue(t, st, "x", "v")
	}
	s.Faults.Next(1, fault.Fault{Slow: 20 * time.Millisecond})
	wantValue(t, st, "x", "v")
}

func TestAWaitBeyondTheDeadlineIsToldAtOnce(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	s.Faults.Next(1, fault.Fault{Status: 429, RetryAfter: 50 * time.Second}) // within what is waited for without a deadline
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	_, err := st.Get(ctx, sdk.GetRequest{Name: "x"})
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.ResourceExhausted || e.RetryAfter != 50*time.Second {
		t.Errorf("got %v; want ResourceExhausted and the wait", err)
	}
	wantValue(t, st, "x", "v")
}

func TestNoErrorQuotesTheValue(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	s.Faults.Next(1, fault.Fault{}) // the read of what there is
	s.Faults.Always(fault.Fault{Status: http.StatusBadRequest, Body: `{"error":{"code":"BadParameter","message":"bad: canary-value"}}`})
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString("canary-value")})
	wantCode(t, "put", err, sdk.InvalidArgument)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error quotes the value, or there is none")
	}
}

func TestAnAnswerThatNeverEndsIsNotReadToItsEnd(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	s.Faults.Next(1, fault.Fault{Status: 200, Body: `{"value":"` + strings.Repeat("v", maxAnswer)})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get", err, sdk.Internal)
}

func TestAnswersThatLackWhatTheyMustHaveAreABug(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, nil)
	put(t, st, "x", "v")
	for body, want := range map[string]sdk.Code{
		`{}`: sdk.Internal,
		`{"value":"v","id":"https://h/secrets/x/v1"}`:                   sdk.Internal,
		`{"value":"v","id":"nonsense","attributes":{}}`:                 sdk.Internal,
		`{"id":"https://h/secrets/x/v1","attributes":{}}`:               sdk.Internal,
		`{"value":"","id":"https://h/secrets/x/v1","attributes":{}}`:    sdk.FailedPrecondition,
		`{"value":"v","id":"https://h/secrets/x/","attributes":{}}`:     sdk.Internal,
		`{"value":"v","id":"https://h/secrets/x/v1","attributes":null}`: sdk.Internal,
	} {
		s.Faults.Next(1, fault.Fault{Status: http.StatusOK, Body: body})
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
		wantCode(t, "get of "+body, err, want)
	}
	for _, body := range []string{`{"value":[null,{"id":"x"}],"nextLink":"https://elsewhere.example/"}`, `{"value":[],"nextLink":"://"}`} {
		s.Faults.Next(1, fault.Fault{Status: http.StatusOK, Body: body})
		_, err := st.List(t.Context(), sdk.ListRequest{PageSize: 5})
		wantCode(t, "list of "+body, err, sdk.Internal)
	}
}

func TestAnUntrustedServerIsUnavailableAndSeesNothing(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, set{"tls": nil})
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get", err, sdk.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v does not tell of the certificate", err)
	}
}

func TestAServerThatIsNotTheVaultGetsNoToken(t *testing.T) {
	s := azurekv.Start(t)
	st := opened(t, s, set{"vault_url": s.URL(), "endpoint": nil}) // then its challenge must be for the vault's own domain
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get", err, sdk.FailedPrecondition)
	if got := s.Logins(); got != 0 {
		t.Errorf("%d logins for a server that is not the vault", got)
	}
}
