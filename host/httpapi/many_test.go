package httpapi_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/httpapi"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
)

func TestEachReferenceHasItsOwnAnswer(t *testing.T) {
	s := serving(t, "references: {default_store: prod, hosted_names: [A]}\n"+twoStores, nil)
	s.backend.Set("A", canary)
	s.backend.Set("b", `{"c":"`+canary+`2"}`)
	asked := []string{"secret://prod/b#/c", "secret://prod/absent", "os.environ/A", "secret://prod/b#/c", "os.environ/SECRET", "secret://cred/x",
		"oidc/google/me", "not a reference", "secret://other/x"}
	text, err := json.Marshal(map[string]any{"refs": asked})
	if err != nil {
		t.Fatal(err)
	}
	r := s.do(t, "POST", "/v1/resolve", string(text))
	var got httpapi.Resolution
	r.into(t, &got)
	if r.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept by a cache")
	}
	if len(got.Items) != len(asked) {
		t.Fatalf("%d answers, want %d", len(got.Items), len(asked))
	}
	values := map[int]string{0: canary + "2", 2: canary, 3: canary + "2"}
	codes := map[int]sdk.Code{1: sdk.NotFound, 4: sdk.PermissionDenied, 5: sdk.PermissionDenied, 6: sdk.PermissionDenied, 7: sdk.InvalidArgument, 8: sdk.NotFound}
	for i, item := range got.Items {
		if item.Ref != asked[i] {
			t.Errorf("answer %d is that of %q, want %q", i, item.Ref, asked[i])
		}
		if want, ok := values[i]; ok && (item.Secret == nil || item.Secret.Value == nil || *item.Secret.Value != want) {
			t.Errorf("%s: not its value, problem %+v", item.Ref, item.Problem)
		}
		if want, ok := codes[i]; ok && (item.Secret != nil || item.Problem == nil || item.Problem.Code != httpapi.Word(want)) {
			t.Errorf("%s: problem %+v, want %v and no value", item.Ref, item.Problem, want)
		}
	}
	for i := range asked { // no entry of the tables is missing
		if _, ok := values[i]; !ok && codes[i] == sdk.OK {
			t.Errorf("the test expects nothing of %s", asked[i])
		}
	}
}

func TestStrictIsAllOrNothing(t *testing.T) {
	s := serving(t, twoStores, nil)
	s.backend.Set("k", canary)
	p := s.do(t, "POST", "/v1/resolve", `{"refs":["secret://prod/k","secret://prod/absent","secret://prod/gone"],"strict":true}`).refused(t, 404, sdk.NotFound)
	if len(p.Errors) != 2 {
		t.Errorf("%d errors, want one for each of the two: %+v", len(p.Errors), p.Errors)
	}
	s.do(t, "POST", "/v1/resolve", `{"refs":["secret://prod/k","secret://env/SECRET"],"strict":true}`).refused(t, 403, sdk.PermissionDenied)
	s.do(t, "POST", "/v1/resolve", `{"refs":["secret://prod/k"],"strict":true}`).into(t, &httpapi.Resolution{})
}

func TestStatusTellsStoresAndPlugins(t *testing.T) {
	s := serving(t, twoStores, nil)
	var got httpapi.Status
	s.get(t, "/v1/status").into(t, &got)
	if got.State != "ready" || got.Version != "9.9.9" || got.PID == 0 || len(got.Stores) != 2 || len(got.Plugins) != 1 {
		t.Fatalf("%+v; want a ready host with two stores and a plugin", got)
	}
	if st := got.Stores[0]; st.Name != "prod" || st.State != "ready" || !st.Required || len(st.Capabilities) == 0 {
		t.Errorf("%+v; want the ready store prod", st)
	}
	var stores []httpapi.Store
	var plugins []httpapi.Plugin
	s.get(t, "/v1/stores").into(t, &stores)
	s.get(t, "/v1/plugins").into(t, &plugins)
	if len(stores) != 2 || len(plugins) != 1 || plugins[0].Provider != "example" {
		t.Errorf("%+v, %+v; want the same stores and plugin", stores, plugins)
	}
	var schema struct{ Type string }
	s.get(t, "/v1/plugins/example/schema").into(t, &schema)
	if schema.Type != "object" {
		t.Errorf("the schema's type is %q, want object", schema.Type)
	}
}

func TestReadinessNamesTheStoresThatDoNotAnswer(t *testing.T) {
	s := serving(t, `
stores:
  prod: {provider: example, required: true, settings: {prefix: p/}}
`, func(_ *httpapi.Options, b *example.Backend) { b.Fail("", sdk.Errorf(sdk.Unavailable, "check: down")) })
	if p := s.get(t, "/readyz").refused(t, 503, sdk.Unavailable); !strings.Contains(p.Detail, "prod") {
		t.Errorf("detail %q, want it to name the store", p.Detail)
	}
	var got httpapi.Status
	if s.get(t, "/v1/status").into(t, &got); got.State != "not_ready" || got.Reason == "" {
		t.Errorf("state %q, reason %q; want not_ready and why", got.State, got.Reason)
	}
	if r := s.get(t, "/livez"); r.StatusCode != http.StatusOK || string(r.body) != "live\n" {
		t.Errorf("/livez: %d %q", r.StatusCode, r.body)
	}
	s.backend.Fail("", nil)
	for s.get(t, "/readyz").StatusCode != http.StatusOK {
		<-time.After(5 * time.Millisecond) // until the host has asked again
	}
	if r := s.get(t, "/readyz"); r.StatusCode != http.StatusOK || string(r.body) != "ready\n" {
		t.Errorf("/readyz: %d %q", r.StatusCode, r.body)
	}
}

func TestAReloadOfABrokenFileTellsEveryProblem(t *testing.T) {
	s := serving(t, twoStores, func(o *httpapi.Options, _ *example.Backend) {
		o.Load = func() (*config.Config, error) {
			return config.Parse("keyway.yaml", []byte("version: 1\nstore: {}\nstores:\n  prod: {}\n"))
		}
	})
	p := s.do(t, "POST", "/v1/reload", "").refused(t, 400, sdk.InvalidArgument)
	if len(p.Errors) != 2 || !strings.HasPrefix(p.Errors[0].Message, "keyway.yaml:2") {
		t.Errorf("errors %+v, want both with their lines", p.Errors)
	}
	s.backend.Set("k", canary)
	s.get(t, "/v1/stores/prod/secret?name=k").into(t, &httpapi.Secret{})
}

func TestTheDocumentDescribesEveryPath(t *testing.T) {
	s := serving(t, twoStores, nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	s.get(t, "/openapi.json").into(t, &doc)
	for _, want := range []string{"get /v1/status", "get /v1/plugins", "get /v1/plugins/{plugin}/schema", "post /v1/plugins/{plugin}/swap",
		"post /v1/plugins/{plugin}/rollback", "post /v1/reload", "get /v1/stores", "get /v1/stores/{store}/secret", "post /v1/resolve", "get /livez", "get /readyz"} {
		method, path, _ := strings.Cut(want, " ")
		if doc.Paths[path][method] == nil {
			t.Errorf("the document lacks %s", want)
		}
	}
	if text := string(s.get(t, "/openapi.json").body); strings.Contains(text, "ErrorModel") || !strings.Contains(text, "retry_after") {
		t.Error("the document describes another error than the problem that is sent")
	}
}

func TestItMountsOnAnyMux(t *testing.T) {
	h := opened(t, twoStores, slog.New(slog.DiscardHandler), example.NewBackend())
	mux := http.NewServeMux()
	mux.Handle("/keyway/", http.StripPrefix("/keyway", httpapi.Handler(h, httpapi.Options{})))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/keyway/v1/stores/prod/secret?name=absent", nil))
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "not_found") {
		t.Errorf("%d %s; want the problem of an absent secret", w.Code, w.Body.String())
	}
}

func TestWordsAndCodesGoBothWays(t *testing.T) {
	for c := sdk.Canceled; c <= sdk.Unauthenticated; c++ {
		if c == 11 { // gRPC's OutOfRange, which the contract has not
			continue
		}
		if got := httpapi.CodeOf(httpapi.Word(c)); got != c {
			t.Errorf("CodeOf(%q): %v, want %v", httpapi.Word(c), got, c)
		}
	}
	if got := httpapi.CodeOf("some_failed"); !errors.Is(got, sdk.Unknown) {
		t.Errorf("CodeOf of a word that is no code: %v, want unknown", got)
	}
}
