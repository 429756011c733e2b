package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryWordOfTheServiceHasItsCode(t *testing.T) {
	for word, want := range map[string]sdk.Code{
		"NotFoundException": sdk.NotFound, "DisabledException": sdk.FailedPrecondition, "KMSInvalidStateException": sdk.FailedPrecondition,
		"InvalidCiphertextException": sdk.InvalidArgument, "IncorrectKeyException": sdk.InvalidArgument, "InvalidKeyUsageException": sdk.InvalidArgument,
		"InvalidGrantTokenException": sdk.InvalidArgument, "InvalidArnException": sdk.InvalidArgument, "ValidationException": sdk.InvalidArgument,
		"KeyUnavailableException": sdk.Unavailable, "DependencyTimeoutException": sdk.Unavailable, "KMSInternalException": sdk.Unavailable,
		"ThrottlingException": sdk.ResourceExhausted, "LimitExceededException": sdk.ResourceExhausted,
		"AccessDeniedException": sdk.PermissionDenied, "ExpiredTokenException": sdk.Unauthenticated, "InvalidSignatureException": sdk.Unauthenticated,
		"UnrecognizedClientException": sdk.Unauthenticated, "IncompleteSignatureException": sdk.Unauthenticated,
	} {
		f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal(word, "canary\nsays so"), "Encrypt": refusal(word, "canary says so")})
		st := openStore(t, f.URL, set{"key": arn})
		_, err := decrypt(st, t, sdk.DecryptRequest{})
		wantCode(t, "decrypt: "+word, err, want)
		var e *sdk.Error
		if !errors.As(err, &e) || e.Reason != word || e.RequestID != "req-1" || strings.Contains(e.Message, "\n") || !strings.Contains(e.Message, arn) {
			t.Errorf("%s: error %+v, want the word, the request's id and one line with the key", word, e)
		}
		_, err = encrypt(st, t, sdk.EncryptRequest{})
		wantCode(t, "encrypt: "+word, err, want)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes what the service said of a request with a value: %v", word, err)
		}
		if n := len(f.requests("Decrypt")); n > 3 {
			t.Errorf("%s: %d attempts, want 3 at most", word, n)
		}
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal("AccessDeniedException", ""), "Encrypt": refusal("AccessDeniedException", "")})
	_, err := decrypt(openStore(t, f.URL, set{"key": arn}), t, sdk.DecryptRequest{})
	if err == nil || !strings.Contains(err.Error(), "needs kms:Decrypt on "+arn) {
		t.Errorf("decrypt: %v", err)
	}
	_, err = encrypt(openStore(t, f.URL, nil), t, sdk.EncryptRequest{Key: "alias/x"})
	if err == nil || !strings.Contains(err.Error(), "needs kms:Encrypt on alias/x") {
		t.Errorf("encrypt: %v", err)
	}
}

func TestAKeyThatIsOutOfReachForAWhileIsNotOneThatSomebodyTookOut(t *testing.T) {
	describe := func(state, more string) http.HandlerFunc {
		return reply(200, `{"KeyMetadata":{"KeyId":"k","KeyState":"`+state+`"`+more+`}}`)
	}
	for name, tc := range map[string]struct {
		describe http.HandlerFunc
		want     sdk.Code
		says     string
	}{
		"pending deletion":         {describe("PendingDeletion", `,"DeletionDate":1798761600`), sdk.FailedPrecondition, "the key is PendingDeletion until 2027-01-01"},
		"pending import":           {describe("PendingImport", ""), sdk.FailedPrecondition, "the key is PendingImport"},
		"a store out of reach":     {describe("Unavailable", ""), sdk.Unavailable, "the key is Unavailable"},
		"in the making":            {describe("Creating", ""), sdk.Unavailable, "the key is Creating"},
		"who may not describe it":  {refusal("AccessDeniedException", ""), sdk.FailedPrecondition, "KMSInvalidStateException"},
		"an answer without a word": {reply(200, `{}`), sdk.FailedPrecondition, "KMSInvalidStateException"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal(invalidState, ""), "DescribeKey": tc.describe})
			_, err := decrypt(openStore(t, f.URL, set{"key": arn}), t, sdk.DecryptRequest{})
			wantCode(t, "decrypt", err, tc.want)
			if err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the message does not say %q: %v", tc.says, err)
			}
		})
	}
}

func TestWithoutAKeyNobodyIsAskedForItsState(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": refusal(invalidState, "")})
	_, err := decrypt(openStore(t, f.URL, nil), t, sdk.DecryptRequest{})
	wantCode(t, "decrypt", err, sdk.FailedPrecondition)
	if n := len(f.requests("DescribeKey")); n != 0 {
		t.Errorf("%d requests for a key without a name", n)
	}
}

func TestAPassingFaultIsRetriedWithinTheCall(t *testing.T) {
	var n atomic.Int32
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			reply(500, `{"__type":"KMSInternalException"}`)(w, r)
			return
		}
		reply(200, decrypted)(w, r)
	}})
	if _, err := decrypt(openStore(t, f.URL, nil), t, sdk.DecryptRequest{}); err != nil {
		t.Errorf("decrypt: %v", err)
	}
}

func TestThrottlingSaysWhenToComeAgainAndDoesNotWaitBeyondTheDeadline(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "120")
		refusal("ThrottlingException", "Rate exceeded")(w, r)
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := openStore(t, f.URL, nil).Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte("ciphertext")})
	wantCode(t, "decrypt", err, sdk.ResourceExhausted)
	var e *sdk.Error
	if !errors.As(err, &e) || e.RetryAfter != 2*time.Minute {
		t.Errorf("error %+v, want retry after 2m", e)
	}
	if n := len(f.requests("Decrypt")); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

func TestADeadlineAndACallerThatLeavesAreTold(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := newFake(t, map[string]http.HandlerFunc{"Decrypt": func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}})
	st := openStore(t, f.URL, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := st.Decrypt(ctx, sdk.DecryptRequest{Ciphertext: []byte("ciphertext")})
	wantCode(t, "a service that hangs", err, sdk.DeadlineExceeded)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = st.Decrypt(gone, sdk.DecryptRequest{Ciphertext: []byte("ciphertext")})
	wantCode(t, "a caller that left", err, sdk.Canceled)
}

func TestAnAnswerThatIsNotTheServicesIsNoPlaintext(t *testing.T) {
	for what, tc := range map[string]struct {
		answer http.HandlerFunc
		want   sdk.Code
	}{
		"a page":            {reply(200, "<html>hello</html>"), sdk.Internal},
		"half an answer":    {reply(200, `{"Plaintext":"aGVs`), sdk.Internal},
		"a plaintext list":  {reply(200, `{"Plaintext":["aGVsbG8="]}`), sdk.Internal},
		"no base64":         {reply(200, `{"Plaintext":"%%%"}`), sdk.Internal},
		"a broken server":   {reply(500, ""), sdk.Unavailable},
		"something on port": {reply(404, "not here"), sdk.FailedPrecondition},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"Decrypt": tc.answer})
		_, err := decrypt(openStore(t, f.URL, nil), t, sdk.DecryptRequest{})
		wantCode(t, what, err, tc.want)
	}
}
