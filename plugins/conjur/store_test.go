package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

const branch = "gateway/prod"

func wantCode(t *testing.T, what string, err error, want sdk.Code) {
	t.Helper()
	if got := sdk.CodeOf(err); got != want {
		t.Errorf("%s: code %v (%v), want %v", what, got, err, want)
	}
}

func put(t *testing.T, st *store, name, value string) {
	t.Helper()
	if _, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString(value)}); err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
}

func wantValue(t *testing.T, st *store, r sdk.GetRequest, want string) {
	t.Helper()
	s, err := st.Get(t.Context(), r)
	if err != nil {
		t.Errorf("get %q: %v", r.Name, err)
		return
	}
	if !s.Value.Equal(sdk.SensitiveString(want)) || s.Version != r.Version {
		t.Errorf("get %q: %d bytes of version %q, want the %d bytes of %q", r.Name, s.Value.Len(), s.Version, len(want), r.Version)
	}
}

func asError(err error) *sdk.Error {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	return &sdk.Error{}
}

func TestNamesReachTheServerWhole(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch, "path_prefix": branch})
	names := []string{"a/b c", "a?b=c#d", "a%2fb", "ü/é", "a+b", "x:y@z", "myorg:variable:x", `say "hi": - [no]`, "it's", "{{x}}", "true", "1.5", "c,d", "~", "&a *b"}
	for _, name := range names {
		put(t, st, name, "value of "+name)
	}
	for _, name := range names {
		wantValue(t, st, sdk.GetRequest{Name: name}, "value of "+name)
		if value, _ := f.Value(branch + "/" + name); value != "value of "+name {
			t.Errorf("%q is another variable on the server", name)
		}
		m, err := st.Stat(t.Context(), sdk.StatRequest{Name: name})
		if err != nil || m.Name != name || m.Version != "1" {
			t.Errorf("stat %q: %+v, %v", name, m, err)
		}
	}
	page, err := st.List(t.Context(), sdk.ListRequest{PageSize: 100})
	if err != nil || len(page.Items) != len(names) || page.Next != "" {
		t.Errorf("list: %d names, %v; want %d", len(page.Items), err, len(names))
	}
	for _, name := range names {
		if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name}); err != nil {
			t.Errorf("delete %q: %v", name, err)
		}
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
		wantCode(t, "get "+name+" after its deletion", err, sdk.NotFound)
	}
}

func TestABranchMayHaveSpaces(t *testing.T) {
	f := newFake(t)
	f.Load(t, "root", "- !policy\n  id: my apps/one\n  owner: !host gateway\n")
	st := openStore(t, f, set{"policy_branch": "my apps/one"})
	put(t, st, "my apps/one/x", "value")
	wantValue(t, st, sdk.GetRequest{Name: "my apps/one/x"}, "value")
}

func TestValuesAreBytes(t *testing.T) {
	st := openStore(t, newFake(t), set{"policy_branch": branch, "path_prefix": branch})
	values := map[string]string{"binary": "\x00\xff\xfe\n", "form": "expirations=1&version=2&account=x", "percent": "100%", "long": strings.Repeat("x", 300), "spaces": " a \n"}
	var names []string
	for name, value := range values {
		put(t, st, name, value)
		wantValue(t, st, sdk.GetRequest{Name: name}, value)
		names = append(names, name)
	}
	results, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: append(names, names[0])})
	if err != nil {
		t.Fatalf("batch: %v", err)
	}
	for i, r := range results[:len(names)] {
		if !r.Secret.Value.Equal(sdk.SensitiveString(values[names[i]])) {
			t.Errorf("batch: %q has another value", names[i])
		}
	}
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(" \n\t")})
	wantCode(t, "put of white space", err, sdk.InvalidArgument)
}

func TestABatchIsAllOrNothingAndSaysWhy(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, nil)
	for name, want := range map[string]sdk.Code{"others/none": sdk.NotFound, "others/locked": sdk.PermissionDenied, "a,b": sdk.InvalidArgument} {
		_, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"others/readable", name}})
		wantCode(t, "batch with "+name, err, want)
	}
}

func TestALargeBatchIsSeveralRequests(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch})
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("%s/%s%d", branch, strings.Repeat("n", 300), i))
		put(t, st, names[i], "value "+names[i])
	}
	results, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: names})
	if err != nil {
		t.Fatalf("batch: %v", err)
	}
	for i, r := range results {
		if !r.Secret.Value.Equal(sdk.SensitiveString("value " + names[i])) {
			t.Errorf("name %d has another value", i)
		}
	}
	for _, r := range f.Requests() {
		if len(r.Path)+len(r.Query) > 7<<10 {
			t.Errorf("a request line of %d bytes", len(r.Path)+len(r.Query))
		}
	}
	if got := f.Count("GET /secrets"); got < 2 || got > 4 {
		t.Errorf("%d requests for 40 names of 300 bytes, want some, and no more than needed", got)
	}
}

func TestAVersionIsANumber(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch})
	for _, v := range []string{"one", "two", "three"} {
		put(t, st, branch+"/x", v)
	}
	wantValue(t, st, sdk.GetRequest{Name: branch + "/x", Version: "2"}, "two")
	for _, v := range []string{"0", "-1", "01", "latest", "1e3", "99999999999999999999"} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: branch + "/x", Version: v})
		wantCode(t, "get version "+v, err, sdk.InvalidArgument)
	}
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: branch + "/x", Version: "7"})
	wantCode(t, "get a version that is not there", err, sdk.NotFound)
}

func TestWhatIsNotDeclaredSaysHowToDeclareIt(t *testing.T) {
	f := newFake(t)
	for name, more := range map[string]set{"without a branch": nil, "outside the branch": {"policy_branch": branch}} {
		st := openStore(t, f, more)
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: "others/none", Value: sdk.SensitiveString("canary-value")})
		wantCode(t, "put "+name, err, sdk.NotFound)
		if text := err.Error(); strings.Contains(text, "canary") || !strings.Contains(text, "others/none") || !strings.Contains(text, "policy") {
			t.Errorf("put %s: %q names neither the variable nor the policy", name, text)
		}
	}
	if n := f.Count("POST /policies"); n != 0 {
		t.Errorf("%d policies were loaded", n)
	}
}

func TestASetVariableNeedsNoPolicy(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch})
	put(t, st, branch+"/x", "one")
	put(t, st, branch+"/x", "two")
	if n := f.Count("POST /policies"); n != 1 {
		t.Errorf("%d policies were loaded for two puts, want 1", n)
	}
}

func TestAnnotationsAreLabels(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch})
	labels := map[string]string{"team": "a: b", "empty": "", "say \"hi\"": "yes", "n": "1"}
	r := sdk.PutRequest{Name: branch + "/x", Value: sdk.SensitiveString("v"), Description: "what it is for", Labels: labels}
	for range 2 { // those of the second are those of the first
		if _, err := st.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		m, err := st.Stat(t.Context(), sdk.StatRequest{Name: r.Name})
		if err != nil || m.Description != "what it is for" || fmt.Sprint(m.Labels) != fmt.Sprint(labels) || m.Created.IsZero() {
			t.Errorf("stat: %+v, %v", m, err)
		}
		r.Description, r.Labels = "another", map[string]string{"team": "other"}
	}
	r.Labels = map[string]string{"description": "x"}
	_, err := st.Put(t.Context(), r)
	wantCode(t, "put with the label description", err, sdk.InvalidArgument)
}

func TestOnlyTheBranchIsChanged(t *testing.T) {
	f := newFake(t)
	st := openStore(t, f, set{"policy_branch": branch})
	_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "others/readable"})
	wantCode(t, "delete outside the branch", err, sdk.PermissionDenied)
	st = openStore(t, f, set{"policy_branch": "others"})
	_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "others/readable"})
	wantCode(t, "delete in a branch that the login may not see", err, sdk.FailedPrecondition)
	if value, _ := f.Value("others/readable"); value == "" {
		t.Error("the variable is gone")
	}
}

func TestABranchThatTheLoginDoesNotOwnTellsWhatIsMissing(t *testing.T) {
	f := newFake(t)
	f.Load(t, "root", "- !policy shared\n- !permit\n  role: !host gateway\n  privileges: [read, create]\n  resource: !policy shared\n")
	st := openStore(t, f, set{"policy_branch": "shared"})
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "shared/x", Value: sdk.SensitiveString("v")})
	wantCode(t, "put of a variable that is declared and cannot be seen", err, sdk.PermissionDenied)
	_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "shared/x"})
	wantCode(t, "delete without update", err, sdk.PermissionDenied)
	if !strings.Contains(err.Error(), "update on policy shared") {
		t.Errorf("delete: %v, want the privilege that is needed", err)
	}
	r, err := st.Check(t.Context())
	if err != nil || r.Identity != "myorg:host/gateway" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "update") {
		t.Errorf("check: %+v, %v; want a note on update", r, err)
	}
}

func TestAListingOfManyVariablesIsWhole(t *testing.T) {
	f := newFake(t)
	var policy strings.Builder
	const many = listPage + 30
	for i := range many {
		fmt.Fprintf(&policy, "- !variable n%04d\n", i)
	}
	policy.WriteString("- !variable without\n")
	f.Load(t, branch, policy.String())
	for i := range many {
		f.Set(t, fmt.Sprintf("%s/n%04d", branch, i), "v")
	}
	st := openStore(t, f, set{"path_prefix": branch})
	for prefix, want := range map[string]int{"": many, "n00": 100, "n0529": 1, "w": 0} {
		got := map[string]bool{}
		r := sdk.ListRequest{Prefix: prefix, PageSize: 70}
		for {
			page, err := st.List(t.Context(), r)
			if err != nil || len(page.Items) > r.PageSize {
				t.Fatalf("list %q: %d items, %v", prefix, len(page.Items), err)
			}
			for _, m := range page.Items {
				got[m.Name] = true
			}
			if r.PageToken = page.Next; r.PageToken == "" {
				break
			}
		}
		if len(got) != want {
			t.Errorf("list %q: %d names, want %d", prefix, len(got), want)
		}
	}
	_, err := st.Stat(t.Context(), sdk.StatRequest{Name: "without"})
	wantCode(t, "stat of a variable without a value", err, sdk.NotFound)
}

func TestOpeningSendsNothing(t *testing.T) {
	f := newFake(t)
	openStore(t, f, set{"policy_branch": "root"})
	if n := len(f.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
