package host_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// fixture is a host over the example provider in this process.
type fixture struct {
	*host.Host
	backend *example.Backend
}

// open opens a configuration whose stores use the provider "example". env is the environment that the host sees.
func open(t testing.TB, yaml string, env map[string]string) fixture {
	t.Helper()
	f, err := tryOpen(t, example.NewBackend(), yaml, env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func tryOpen(t testing.TB, b *example.Backend, yaml string, env map[string]string, opts ...host.Option) (fixture, error) {
	t.Helper()
	cfg, err := config.Parse("keyway.yaml", []byte("version: 1\n"+yaml))
	if err != nil {
		return fixture{}, err
	}
	conn, stop := serve.Pipe(b.Plugin())
	opts = append([]host.Option{
		host.WithProvider("example", conn),
		host.WithEnviron(func(n string) (string, bool) { v, ok := env[n]; return v, ok }),
		host.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, nil))),
	}, opts...)
	h, err := host.Open(t.Context(), cfg, opts...)
	if err != nil {
		stop()
		return fixture{}, err
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		stop()
	})
	return fixture{h, b}, nil
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

const oneStore = `
stores:
  prod: {provider: example, access: read_write}
`

func (f fixture) expect(t *testing.T, ref, want string) *host.Value {
	t.Helper()
	v, err := f.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatalf("Resolve(%q): %v", ref, err)
	}
	if v.Text() != want {
		t.Errorf("Resolve(%q) gave another value than %q", ref, want)
	}
	return v
}

func (f fixture) refuse(t *testing.T, ref string, want sdk.Code) {
	t.Helper()
	_ = f.refusal(t, ref, want)
}

func (f fixture) refusal(t *testing.T, ref string, want sdk.Code) error {
	t.Helper()
	v, err := f.Resolve(t.Context(), ref)
	if !errors.Is(err, want) {
		t.Errorf("Resolve(%q): %v, %v; want the code %v", ref, v, err, want)
	}
	return err
}

// awaitWatch returns when the store "prod" reports changes: until then the subscription's first event may come at any time
// and have everything asked for anew.
func (f fixture) awaitWatch(t *testing.T) {
	t.Helper()
	f.backend.Set("watched", "0")
	l, err := f.Live(t.Context(), "secret://prod/watched")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unbind()
	f.backend.Set("watched", "1")
	for {
		if v, err := l.Load(); err == nil && v.Text() == "1" {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEveryFormOfReferenceGivesItsValue(t *testing.T) {
	f := open(t, `
stores:
  prod: {provider: example, access: read_write}
  doc:  {provider: example, document: all}
  kms:  {provider: example, access: read_write, ciphertext_from: prod}
references: {default_store: prod}
`, map[string]string{"TOKEN": "from-env"})
	f.backend.Set("plain", "v1")
	f.backend.Set("team/db", `{"user": "u", "pass": "p/1", "n": 12, "list": ["a", {"b": "c"}]}`)
	f.backend.Set("all", `{"OPENAI": "in-document", "nested": {"k": "v"}}`)
	kms, err := f.Store("kms")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := kms.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: sdk.SensitiveString("opened")})
	if err != nil {
		t.Fatal(err)
	}
	f.backend.Set("sealed", string(sealed.Ciphertext))
	for ref, want := range map[string]string{
		"secret://prod/plain":                        "v1",
		"secret://prod/team/db#/pass":                "p/1",
		"secret://prod/team/db#/n":                   "12",
		"secret://prod/team/db#/list/1/b":            "c",
		"secret://prod/plain?version=1":              "v1",
		"secret://env/TOKEN":                         "from-env",
		"secret://doc/OPENAI":                        "in-document",
		"secret://doc/nested#/k":                     "v",
		"secret://kms/sealed":                        "opened",
		"os.environ/plain":                           "v1",
		"Bearer ${secret://prod/plain}":              "Bearer v1",
		"${secret://prod/plain}:${os.environ/plain}": "v1:v1",
	} {
		f.expect(t, ref, want)
		f.expect(t, ref, want) // and again from the cache
	}
}

func TestAReferenceThatCannotBeReadIsAnErrorAndNeverText(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("text", "no json")
	f.backend.Set("json", `{"empty": "", "null": null}`)
	for ref, want := range map[string]sdk.Code{
		"secret://prod/absent":         sdk.NotFound,
		"secret://nowhere/x":           sdk.NotFound,
		"secret://prod/../x":           sdk.InvalidArgument,
		"secret://prod/":               sdk.InvalidArgument,
		"secret://prod/text#/a":        sdk.InvalidArgument,
		"secret://prod/json#/absent":   sdk.NotFound,
		"secret://prod/json#/empty":    sdk.FailedPrecondition,
		"secret://prod/json#/null":     sdk.FailedPrecondition,
		"secret://prod/json#nopointer": sdk.InvalidArgument,
		"secret://prod/json?version=9": sdk.NotFound,
		"secret://env/UNSET":           sdk.NotFound,
		"secret://env/A?version=1":     sdk.InvalidArgument,
		"os.environ/UNSET":             sdk.NotFound,
		"decrypt://prod/AAAA":          sdk.InvalidArgument,
		"just text":                    sdk.InvalidArgument,
		"a ${secret://prod/absent} b":  sdk.NotFound,
		"":                             sdk.InvalidArgument,
	} {
		err := f.refusal(t, ref, want)
		if err != nil && strings.Contains(err.Error(), "no json") {
			t.Errorf("the error for %q holds a value", ref)
		}
	}
}

func TestTheEnvironmentAnswersOnlyWhatTheStoreSaysDoesNotExist(t *testing.T) {
	env := map[string]string{"GONE": "env-gone", "DENIED": "env-denied", "OTHER": "env-other", "HOSTED": "env-hosted"}
	f := open(t, `
stores:
  prod: {provider: example, settings: {denied: [DENIED]}}
references: {default_store: prod, hosted_names: [GONE, DENIED, HOSTED], fallback: env}
`, env)
	f.backend.Set("HOSTED", "store-hosted")
	f.expect(t, "os.environ/HOSTED", "store-hosted")
	f.expect(t, "os.environ/GONE", "env-gone")
	f.expect(t, "os.environ/OTHER", "env-other")
	f.refuse(t, "os.environ/DENIED", sdk.PermissionDenied)
}

func TestResolveAllReadsEachSecretOnceAndNamesEverythingMissing(t *testing.T) {
	f := open(t, oneStore, nil)
	var refs []string
	for i := range 250 {
		name := "s" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		f.backend.Set(name, "v-"+name)
		refs = append(refs, "secret://prod/"+name, "secret://prod/"+name)
	}
	refs = append(refs, "secret://prod/missing-1", "secret://prod/missing-2", "Bearer ${secret://prod/sa}")
	got, err := f.ResolveAll(t.Context(), refs...)
	if len(got) != 251 {
		t.Errorf("%d values, want 251", len(got))
	}
	for _, name := range []string{"missing-1", "missing-2"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if sdk.CodeOf(err) != sdk.NotFound || host.Retryable(err) {
		t.Errorf("code %v, want not found, which no retry mends", sdk.CodeOf(err))
	}
	if n := f.backend.CallsOf("get", ""); n > 0 {
		t.Logf("%d single reads", n)
	}
	if got["Bearer ${secret://prod/sa}"].Text() != "Bearer v-sa" {
		t.Error("a text with a reference inside was not put together")
	}
}

func TestManyCallersOfOneMissMakeOneRead(t *testing.T) {
	f := open(t, oneStore, nil)
	f.awaitWatch(t)
	f.backend.Set("k", "v")
	release := f.backend.Hang("k")
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { f.expect(t, "secret://prod/k", "v") })
	}
	for f.backend.CallsOf("get", "k") == 0 {
		time.Sleep(time.Millisecond)
	}
	release()
	wg.Wait()
	// One for the callers. The watch's report of the new secret may come in between and cause one more.
	if n := f.backend.CallsOf("get", "k"); n > 2 {
		t.Errorf("%d reads for 200 callers, want 1, and 2 at most", n)
	}
}

func TestAccessGatesBothWays(t *testing.T) {
	f := open(t, `
stores:
  ro: {provider: example}
  wo: {provider: example, access: write}
`, nil)
	f.backend.Set("k", "v")
	ro, _ := f.Store("ro")
	wo, _ := f.Store("wo")
	if _, err := ro.Put(t.Context(), sdk.PutRequest{Name: "k", Value: sdk.SensitiveString("x")}); !errors.Is(err, sdk.PermissionDenied) {
		t.Errorf("Put to a store that may be read only: %v, want permission denied", err)
	}
	if _, err := wo.Get(t.Context(), "k", ""); !errors.Is(err, sdk.PermissionDenied) {
		t.Errorf("Get from a store that may be written only: %v, want permission denied", err)
	}
	f.refuse(t, "secret://wo/k", sdk.PermissionDenied)
	f.expect(t, "secret://ro/k", "v")
}

func TestExpandReplacesReferencesAnywhereOrNothing(t *testing.T) {
	f := open(t, oneStore, nil)
	f.backend.Set("k", "v")
	tree := map[string]any{"a": []any{"secret://prod/k", map[string]any{"b": "x-${secret://prod/k}"}}, "n": 3, "lit": "$${secret://prod/k}", "home": "${HOME}"}
	got, err := f.Expand(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	m := got.(map[string]any)
	l := m["a"].([]any)
	if l[0] != "v" || l[1].(map[string]any)["b"] != "x-v" || m["n"] != 3 || m["lit"] != "${secret://prod/k}" || m["home"] != "${HOME}" {
		t.Errorf("Expand gave %v", got)
	}
	tree["bad"] = []any{"secret://prod/absent", "secret://prod/../x"}
	if _, err := f.Expand(t.Context(), tree); err == nil || !strings.Contains(err.Error(), "bad[0]") || !strings.Contains(err.Error(), "bad[1]") {
		t.Errorf("Expand of a tree with two bad references: %v; want both places", err)
	}
}

func TestAConfigurationThatIsWrongOpensNothingAndSaysAllOfIt(t *testing.T) {
	_, err := tryOpen(t, example.NewBackend(), `
stores:
  a: {provider: example, settings: {tokn: x}}
  b: {provider: example, settings: {token: literal-canary}}
  c: {provider: nosuch}
`, nil)
	if !errors.Is(err, sdk.InvalidArgument) {
		t.Fatalf("Open: %v, want invalid argument", err)
	}
	if strings.Contains(err.Error(), "literal-canary") {
		t.Error("the error holds the literal secret")
	}
	if !strings.Contains(err.Error(), "stores.c.provider") || !strings.Contains(err.Error(), "keyway.yaml:") {
		t.Errorf("the error does not place the missing plugin: %v", err)
	}
	_, err = tryOpen(t, example.NewBackend(), `
stores:
  a: {provider: example, settings: {tokn: x}}
  b: {provider: example, settings: {token: literal-canary}}
  c: {provider: example, settings: {token: secret://env/UNSET}}
`, nil)
	for _, want := range []string{"tokn", "token", "keyway.yaml:4", "keyway.yaml:5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the report does not hold %q: %v", want, err)
		}
	}
}

func TestASettingThatCannotBeReadNamesStoreAndReference(t *testing.T) {
	_, err := tryOpen(t, example.NewBackend(), `
stores:
  c: {provider: example, settings: {token: secret://env/UNSET}}
`, nil)
	for _, want := range []string{"stores.c.settings", "secret://env/UNSET", "keyway.yaml:4"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the report does not hold %q: %v", want, err)
		}
	}
}

func TestARequiredStoreThatRefusesStopsTheStartAndOneThatIsDownDoesNot(t *testing.T) {
	b := example.NewBackend()
	b.Fail("", sdk.Errorf(sdk.PermissionDenied, "no"))
	yaml := `
stores:
  prod: {provider: example, required: true}
`
	if _, err := tryOpen(t, b, yaml, nil); !errors.Is(err, sdk.PermissionDenied) {
		t.Errorf("Open with a backend that refuses: %v, want permission denied", err)
	}
	b = example.NewBackend()
	b.Fail("", sdk.Errorf(sdk.Unavailable, "down"))
	f, err := tryOpen(t, b, yaml, nil)
	if err != nil {
		t.Fatalf("Open with a backend that is down: %v", err)
	}
	if err := f.Ready(); !errors.Is(err, sdk.Unavailable) || !strings.Contains(err.Error(), "prod") {
		t.Errorf("Ready: %v, want unavailable and the store's name", err)
	}
	b.Fail("", nil)
	for f.Ready() != nil {
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAStoreOpensWithTheCredentialOfAnotherAndAnewWhenItChanges(t *testing.T) {
	f := open(t, `
stores:
  first:  {provider: example, settings: {data: first}}
  second: {provider: example, settings: {data: second, token: secret://boot/token, require_token: secret://boot/required}}
  boot:   {provider: example, access: read_write, settings: {data: boot, seed: {token: t1, required: t1}}}
`, nil)
	second, _ := f.Store("second")
	if _, err := second.Check(t.Context()); err != nil {
		t.Fatalf("Check with the right token: %v", err)
	}
	before := generationOf(t, f, "second")
	boot, _ := f.Store("boot")
	for _, name := range []string{"required", "token"} {
		if _, err := boot.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString("t2")}); err != nil {
			t.Fatal(err)
		}
	}
	for { // the change is reported, the store opened anew, and then its login is right again
		_, err := second.Check(t.Context())
		if err == nil && !generationOf(t, f, "second").Equal(before) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func generationOf(t *testing.T, f fixture, store string) time.Time {
	t.Helper()
	for _, s := range f.Stores() {
		if s.Name == store {
			return s.Opened
		}
	}
	t.Fatalf("no store %s", store)
	return time.Time{}
}

func TestOnePassAsksOnceForWhatFails(t *testing.T) {
	f := open(t, oneStore, nil)
	f.awaitWatch(t)
	for _, n := range []string{"a", "b", "c"} {
		f.backend.Fail(n, sdk.Errorf(sdk.Unavailable, "down"))
	}
	_, err := f.ResolveAll(t.Context(), "secret://prod/a", "secret://prod/b", "x ${secret://prod/c}", "secret://prod/a#/p")
	if !host.Retryable(err) {
		t.Errorf("ResolveAll: %v, want what a retry may mend", err)
	}
	for _, n := range []string{"a", "b", "c"} {
		if calls := f.backend.CallsOf("get", n) + f.backend.CallsOf("get_batch", n); calls != 1 {
			t.Errorf("%d reads of %s, want 1", calls, n)
		}
	}
}

func TestOnePassOverAHangingBackendEndsWithItsCaller(t *testing.T) {
	f := open(t, oneStore, nil)
	var refs []string
	for i := range 50 {
		name := "n" + strings.Repeat("x", i)
		defer f.backend.Hang(name)()
		refs = append(refs, "secret://prod/"+name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got, err := f.ResolveAll(ctx, refs...)
	if len(got) != 0 || !errors.Is(err, sdk.DeadlineExceeded) {
		t.Errorf("%d values, %v; want none and the caller's deadline", len(got), err)
	}
}

func TestAnEvictedSecretIsReadAnewByItsField(t *testing.T) {
	f := open(t, "cache: {max_entries: 1}\n"+oneStore, nil)
	f.backend.Set("a", `{"k": "va"}`)
	f.backend.Set("b", `{"k": "vb"}`)
	for range 20 {
		f.expect(t, "secret://prod/a#/k", "va")
		f.expect(t, "secret://prod/b#/k", "vb")
	}
}
