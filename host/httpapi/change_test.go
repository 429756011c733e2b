package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
)

// answered is an answer whose lines are still to come.
type answered struct {
	*bufio.Scanner
	status int
	kind   string // Content-Type
}

// streaming asks for the steps of a change.
func streaming(t *testing.T, ctx context.Context, change func(context.Context, func(host.SwapStep)) error) answered { //nolint:revive // t comes first
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &api{}
		a.stream(change).Body(humago.NewContext(&huma.Operation{}, r, w))
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return answered{bufio.NewScanner(res.Body), res.StatusCode, res.Header.Get("Content-Type")}
}

func next(t *testing.T, lines answered) (s Step) {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the answer ends: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		t.Fatalf("%q is no step: %v", lines.Text(), err)
	}
	return s
}

func TestStepsArriveAsTheyHappen(t *testing.T) {
	seen := make(chan struct{})
	lines := streaming(t, t.Context(), func(ctx context.Context, progress func(host.SwapStep)) error {
		progress(host.SwapStep{Step: "verify", Text: "<good>"})
		select {
		case <-seen:
		case <-ctx.Done():
			return ctx.Err()
		}
		progress(host.SwapStep{Step: Done, Text: "all over"})
		return nil
	})
	if got := next(t, lines); got.Step != "verify" || got.Text != "<good>" {
		t.Errorf("%+v, want the step verify", got)
	}
	close(seen)
	if got := next(t, lines); got.Step != Done || got.Text != "all over" || got.Code != "" {
		t.Errorf("%+v, want the step done with its text", got)
	}
	if lines.Scan() {
		t.Errorf("%q after the last step", lines.Text())
	}
	if lines.kind != "application/x-ndjson" {
		t.Errorf("Content-Type %q, want application/x-ndjson", lines.kind)
	}
}

func TestTheLastStepOfAFailureHasItsCode(t *testing.T) {
	lines := streaming(t, t.Context(), func(_ context.Context, progress func(host.SwapStep)) error {
		progress(host.SwapStep{Step: "verify"})
		progress(host.SwapStep{Step: Failed, Text: "told twice"})
		return sdk.Errorf(sdk.FailedPrecondition, "swap x: no")
	})
	_ = next(t, lines)
	if got := next(t, lines); got.Step != Failed || got.Code != "failed_precondition" || got.Text != "swap x: no" {
		t.Errorf("%+v, want failed with its code and reason", got)
	}
	if lines.Scan() {
		t.Errorf("%q after the last step", lines.Text())
	}
}

func TestARefusalBeforeTheFirstStepIsAProblem(t *testing.T) {
	lines := streaming(t, t.Context(), func(_ context.Context, progress func(host.SwapStep)) error {
		progress(host.SwapStep{Step: Failed})
		return sdk.Errorf(sdk.NotFound, "swap x: there is none")
	})
	var p Problem
	if !lines.Scan() {
		t.Fatalf("the answer is empty: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &p); err != nil || lines.status != http.StatusNotFound || p.Code != "not_found" {
		t.Errorf("status %d, %+v, %v; want 404 and the problem", lines.status, p, err)
	}
}

func TestWhoLeavesCallsTheChangeOff(t *testing.T) {
	ended := make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	lines := streaming(t, ctx, func(ctx context.Context, progress func(host.SwapStep)) error {
		progress(host.SwapStep{Step: "verify"})
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	_ = next(t, lines)
	leave()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the change goes on although its caller has left")
	}
}

func TestTheWatchOfASwap(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "15m": 15 * time.Minute, "0s": -1} {
		got, err := SwapRequest{Version: "1", Watch: text}.swap("x")
		if err != nil || got.Watch != want {
			t.Errorf("watch %q: %v, %v; want %v", text, got.Watch, err, want)
		}
	}
	if _, err := (SwapRequest{Version: "1", Watch: "-1s"}).swap("x"); sdk.CodeOf(err) != sdk.InvalidArgument {
		t.Errorf("watch -1s: %v, want invalid argument", err)
	}
}
