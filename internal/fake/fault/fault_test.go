package fault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/fault"
)

const whole = `{"value":"whole"}`

// served puts an injector before a handler that counts and answers whole.
func served(t *testing.T, i *fault.Injector) (address string, handled *atomic.Int64) {
	t.Helper()
	handled = new(atomic.Int64)
	s := httptest.NewServer(i.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		handled.Add(1)
		w.Header().Set("X-Of-The-Fake", "yes")
		_, _ = io.WriteString(w, whole)
	})))
	t.Cleanup(s.Close)
	return s.URL, handled
}

// answer is one with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

func get(ctx context.Context, address string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func TestWithoutFaultsTheFakeAnswers(t *testing.T) {
	var i fault.Injector
	i.Next(0, fault.Fault{Status: 500})
	address, _ := served(t, &i)
	a, err := get(t.Context(), address)
	if err != nil || a.status != http.StatusOK || a.body != whole {
		t.Errorf("got %d, %q, %v; want the fake's answer", a.status, a.body, err)
	}
}

func TestFaultsComeInTheirOrderThenWhatIsAlwaysSo(t *testing.T) {
	var i fault.Injector
	i.Always(fault.Fault{Status: 503})
	i.Next(2, fault.Fault{Status: 500})
	i.Next(1, fault.Fault{Status: 429})
	for n, want := range []int{500, 500, 429, 503, 503} {
		if f, ok := i.Take(); !ok || f.Status != want {
			t.Errorf("request %d: got %v, %v, want status %d", n, f.Status, ok, want)
		}
	}
	i.Next(1, fault.Fault{Status: 500})
	i.Clear()
	if f, ok := i.Take(); ok {
		t.Errorf("after Clear: got status %d, want no fault", f.Status)
	}
}

func TestAStatusStandsInPlaceOfTheAnswer(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Status: 429, RetryAfter: 1500 * time.Millisecond, Body: `{"error":{}}`})
	address, handled := served(t, &i)
	a, err := get(t.Context(), address)
	if err != nil || a.status != http.StatusTooManyRequests || a.body != `{"error":{}}` {
		t.Fatalf("got %d, %q, %v; want 429 with the body", a.status, a.body, err)
	}
	if got := a.header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q, want 2", got)
	}
	if got := handled.Load(); got != 0 {
		t.Errorf("the fake saw %d requests, want none", got)
	}
}

func TestACutAnswerHasHeadersAndNoEnd(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Cut: true})
	address, handled := served(t, &i)
	a, err := get(t.Context(), address)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d, %q, %v; want an end before the end", a.status, a.body, err)
	}
	if a.header.Get("X-Of-The-Fake") == "" {
		t.Error("the answer's headers have not come")
	}
	if got := handled.Load(); got != 1 {
		t.Errorf("the fake saw %d requests, want 1: the call happens, only its answer is lost", got)
	}
}

func TestAMalformedAnswerHasTheStatusOfTheTrueOne(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Malformed: true})
	address, _ := served(t, &i)
	a, err := get(t.Context(), address)
	if err != nil || a.status != http.StatusOK || a.body == whole || !strings.HasPrefix(a.body, "{") {
		t.Errorf("got %d, %q, %v; want 200 and half a document", a.status, a.body, err)
	}
}

func TestASlowAnswerIsWholeInTheEnd(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{Slow: 20 * time.Millisecond})
	address, _ := served(t, &i)
	a, err := get(t.Context(), address)
	if err != nil || a.body != whole {
		t.Errorf("got %q, %v; want the whole answer", a.body, err)
	}
}

func TestLatencyComesBeforeTheAnswerAndEndsWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var i fault.Injector
		i.Next(2, fault.Fault{Latency: time.Minute})
		h := i.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) }))
		begun := time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if took := time.Since(begun); took != time.Minute || w.Body.String() != whole {
			t.Errorf("got %q after %v, want the answer after a minute", w.Body, took)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		defer func() {
			if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
				t.Errorf("the handler ended with %v, want that it is aborted", p)
			}
			if took := time.Since(begun); took != time.Minute+time.Second {
				t.Errorf("the handler ended after %v, want as the caller left", took)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
	})
}

func TestAFakeThatPlacesAFaultItselfFindsItInTheContext(t *testing.T) {
	var i fault.Injector
	i.Next(1, fault.Fault{WrongCRC: true})
	var saw []bool
	h := i.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		saw = append(saw, fault.FromContext(r.Context()).WrongCRC)
	}))
	for range 2 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	if len(saw) != 2 || !saw[0] || saw[1] {
		t.Errorf("the fake saw %v, want the fault in the first request only", saw)
	}
}

func TestManyRequestsShareTheFaultsOut(t *testing.T) {
	var i fault.Injector
	i.Next(10, fault.Fault{Status: 500})
	var met atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, ok := i.Take(); ok {
				met.Add(1)
			}
		})
	}
	wg.Wait()
	if got := met.Load(); got != 10 {
		t.Errorf("%d of 40 requests met a fault, want 10", got)
	}
}
