package candidates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/candidates"
	"github.com/keyway-dev/keyway/e2e/candidates/kinds"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// open starts a candidate and opens a store of the backend in it.
func open(t *testing.T, b *candidates.Backend, kind kinds.Kind) *dial.Store {
	t.Helper()
	p := sdktest.Start(t, candidates.Build(t, kind, "1.1.0", t.TempDir()))
	s, err := p.Open(t.Context(), "prod~1", []byte(b.Settings()))
	if err != nil {
		t.Fatalf("Open of %s: %v", kind, err)
	}
	return s
}

func read(t *testing.T, s *dial.Store, name string) (string, error) {
	t.Helper()
	got, err := s.Get(t.Context(), sdk.GetRequest{Name: name})
	if err != nil {
		return "", err
	}
	return string(got.Value.Reveal()), nil
}

func TestAGoodCandidateReadsWritesListsAndLogsInOnce(t *testing.T) {
	b := candidates.NewBackend(t)
	b.Set("k", "v")
	s := open(t, b, kinds.Good)
	if r, err := s.Check(t.Context()); err != nil || r.Identity != "customer" {
		t.Errorf("Check: %+v, %v", r, err)
	}
	if got, err := read(t, s, "k"); got != "v" || err != nil {
		t.Errorf("Get(k): %q, %v, want v", got, err)
	}
	put := sdk.PutRequest{Name: "new", Value: sdk.SensitiveString("1"), If: sdk.IfAbsent(), IdempotencyKey: strings.Repeat("k", 32)}
	for range 2 {
		if r, err := s.Put(t.Context(), put); err != nil || r.Version != "1" {
			t.Errorf("Put: %+v, %v, want version 1, also when repeated", r, err)
		}
	}
	put.IdempotencyKey = ""
	if _, err := s.Put(t.Context(), put); !errors.Is(err, sdk.AlreadyExists) {
		t.Errorf("Put of what exists, if absent: %v, want AlreadyExists", err)
	}
	put.If = sdk.IfVersion("7")
	if _, err := s.Put(t.Context(), put); !errors.Is(err, sdk.Aborted) {
		t.Errorf("Put if version 7: %v, want Aborted", err)
	}
	page, err := s.List(t.Context(), sdk.ListRequest{PageSize: 10})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("List: %d items, %v, want k and new", len(page.Items), err)
	}
	if _, err := s.Delete(t.Context(), sdk.DeleteRequest{Name: "k"}); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := read(t, s, "k"); !errors.Is(err, sdk.NotFound) {
		t.Errorf("Get after Delete: %v, want NotFound", err)
	}
	if got := b.Stats(); got.Logins != 1 || got.Open != 1 || got.Writes != 1 || b.CallsOf("get", "k") != 2 {
		t.Errorf("the backend counted %+v and %d reads of k, want 1 login, 1 session, 1 write, 2 reads", got, b.CallsOf("get", "k"))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := b.Stats().Open; got != 0 {
		t.Errorf("%d sessions after Close, want 0", got)
	}
}

func TestABackendFailsHangsAndRecovers(t *testing.T) {
	b := candidates.NewBackend(t)
	b.Set("k", "v")
	s := open(t, b, kinds.Good)
	for status, want := range map[int]sdk.Code{503: sdk.Unavailable, 403: sdk.PermissionDenied, 429: sdk.ResourceExhausted} {
		b.Fail(status)
		if _, err := read(t, s, "k"); !errors.Is(err, want) {
			t.Errorf("Get while the backend answers %d: %v, want %v", status, err, want)
		}
	}
	b.Hang()
	b.Fail(0)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // the deadline is the only way out
	defer cancel()
	if _, err := s.Get(ctx, sdk.GetRequest{Name: "k"}); !errors.Is(err, sdk.DeadlineExceeded) {
		t.Errorf("Get while the backend hangs: %v, want DeadlineExceeded", err)
	}
	b.Recover()
	if got, err := read(t, s, "k"); got != "v" || err != nil {
		t.Errorf("Get after Recover: %q, %v, want v", got, err)
	}
}

func TestASingleUseTokenFailsTheSecondLogin(t *testing.T) {
	b := candidates.NewBackend(t)
	b.SingleUse()
	first, second := open(t, b, kinds.Good), open(t, b, kinds.Good)
	if _, err := first.Check(t.Context()); err != nil {
		t.Errorf("first Check: %v", err)
	}
	if _, err := second.Check(t.Context()); !errors.Is(err, sdk.Unauthenticated) {
		t.Errorf("Check of a second store: %v, want Unauthenticated", err)
	}
	if _, err := first.Check(t.Context()); err != nil {
		t.Errorf("the first store's next Check: %v: its session must not suffer", err)
	}
}

// Each kind that goes wrong with a read does so after the good reads that were asked for.
func TestCandidatesGoWrongWithAReadAsTheirKindSays(t *testing.T) {
	for kind, want := range map[kinds.Kind]sdk.Code{
		kinds.NoVersion: sdk.OK, kinds.Noise: sdk.OK, kinds.Hog: sdk.OK, kinds.OtherValue: sdk.OK,
		kinds.Crashes: sdk.Unavailable, kinds.Panics: sdk.Internal, kinds.Refuses: sdk.InvalidArgument, kinds.Forgets: sdk.NotFound,
	} {
		t.Run(string(kind), func(t *testing.T) {
			b := candidates.NewBackend(t)
			b.Set("k", "v")
			b.Set(kinds.OtherSecret, "w")
			s := open(t, b, kind.After(1))
			if got, err := read(t, s, "k"); got != "v" || err != nil {
				t.Errorf("first Get: %q, %v, want v", got, err)
			}
			got, err := read(t, s, "k")
			if sdk.CodeOf(err) != want {
				t.Errorf("second Get: %v, want %v", err, want)
			}
			if value := map[bool]string{true: "w", false: "v"}[kind == kinds.OtherValue]; want == sdk.OK && got != value {
				t.Errorf("second Get: %q, want %q", got, value)
			}
		})
	}
}

func TestAFaultyCandidateFailsOneReadInTwenty(t *testing.T) {
	b := candidates.NewBackend(t)
	b.Set("k", "v")
	s := open(t, b, kinds.Faulty)
	failed := 0
	for range 3 * kinds.FaultyEvery {
		if _, err := read(t, s, "k"); errors.Is(err, sdk.Internal) {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d of %d reads were Internal, want 3", failed, 3*kinds.FaultyEvery)
	}
}

func TestAStallingCandidateAnswersNoRead(t *testing.T) {
	s := open(t, candidates.NewBackend(t), kinds.Stalls)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // the deadline is the only way out
	defer cancel()
	if _, err := s.Get(ctx, sdk.GetRequest{Name: "k"}); !errors.Is(err, sdk.DeadlineExceeded) {
		t.Errorf("Get: %v, want DeadlineExceeded", err)
	}
}

func TestCandidatesThatCannotDoWhatTheVersionBeforeDid(t *testing.T) {
	b := candidates.NewBackend(t)
	if s := open(t, b, kinds.ReadOnly); s.Can().Has(sdk.CanPut) {
		t.Errorf("read-only can %v", s.Can())
	}
	if s := open(t, b, kinds.NewEndpoint); s.Reach() == nil || len(s.Reach().Endpoints) != 2 {
		t.Errorf("new-endpoint reaches %+v, want the backend and another", s.Reach())
	}
	if _, err := open(t, b, kinds.CannotLogin).Check(t.Context()); !errors.Is(err, sdk.Unauthenticated) {
		t.Errorf("cannot-login, Check: %v, want Unauthenticated", err)
	}
	for kind, want := range map[kinds.Kind]sdk.Code{kinds.NeedsSetting: sdk.InvalidArgument, kinds.CannotOpen: sdk.FailedPrecondition} {
		p := sdktest.Start(t, candidates.Build(t, kind, "1.1.0", t.TempDir()))
		if _, err := p.Open(t.Context(), "prod~1", []byte(b.Settings())); !errors.Is(err, want) {
			t.Errorf("Open of %s: %v, want %v", kind, err, want)
		}
	}
}

// What --describe prints: all that a catalog sees of a candidate before it is started.
func TestCandidatesDescribeThemselvesAsTheirKindSays(t *testing.T) {
	for _, kind := range kinds.All() {
		if kind == kinds.DescribeHangs {
			continue // nothing to see
		}
		out, err := exec.CommandContext(t.Context(), candidates.Build(t, kind, "1.1.0", t.TempDir()), "--describe").Output()
		if err != nil {
			t.Errorf("%s --describe: %v", kind, err)
			continue
		}
		var m sdk.Manifest
		if err := json.Unmarshal(out, &m); err != nil {
			t.Errorf("%s --describe prints no manifest: %v", kind, err)
			continue
		}
		wantName, wantVersion, wantNetwork := "bank", "1.1.0", ""
		switch kind {
		case kinds.OtherName:
			wantName = "thief"
		case kinds.OtherVersion:
			wantVersion = "9.9.9"
		case kinds.Direct:
			wantNetwork = "direct"
		}
		if m.Name != wantName || m.Version != wantVersion || m.Network != wantNetwork {
			t.Errorf("%s is %s %s, network %q; want %s %s, network %q", kind, m.Name, m.Version, m.Network, wantName, wantVersion, wantNetwork)
		}
		if huge, remote := len(m.Schema) > 4<<20, bytes.Contains(m.Schema, []byte("$ref")); huge != (kind == kinds.HugeSchema) || remote != (kind == kinds.RemoteSchema) {
			t.Errorf("%s has a schema of %d bytes, with a reference: %v", kind, len(m.Schema), remote)
		}
	}
}

func TestCandidatesWithoutAnSDKBreakWhatTheSDKKeeps(t *testing.T) {
	b := candidates.NewBackend(t)
	if _, err := read(t, open(t, b, kinds.Big), "k"); !errors.Is(err, sdk.DataLoss) {
		t.Errorf("Get of big: %v, want DataLoss", err)
	}
	if _, err := read(t, open(t, b, kinds.Empty), "k"); !errors.Is(err, sdk.Internal) {
		t.Errorf("Get of empty: %v, want Internal", err)
	}
	m, err := sdktest.Start(t, candidates.Build(t, kinds.OtherNameLive, "1.1.0", t.TempDir())).Describe(t.Context())
	if err != nil || m.Name != "thief" {
		t.Errorf("Describe of other-name-live: %q, %v, want thief", m.Name, err)
	}
	_, err = sdktest.Start(t, candidates.Build(t, kinds.DescribeCrashes, "1.1.0", t.TempDir())).Describe(t.Context())
	if !dial.IsTransport(err) {
		t.Errorf("Describe of describe-crashes: %v, want the process to be gone", err)
	}
}

func TestAnInstalledCandidateReplacesTheOneThatIsThere(t *testing.T) {
	dir := t.TempDir()
	first := candidates.Build(t, kinds.Good, "1.0.0", dir)
	second := candidates.Build(t, kinds.OtherVersion, "1.0.0", dir)
	out, err := exec.CommandContext(t.Context(), second, "--version").Output()
	if first != second || err != nil || !strings.HasPrefix(string(out), "bank 9.9.9 ") {
		t.Errorf("after two builds %s says %q, %v, want version 9.9.9 at %s", second, out, err, first)
	}
}
