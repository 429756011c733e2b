//go:build e2e && unix

package vault_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// work is what a block of the documented policy is for. The secret "there" exists and holds the field and a sibling,
// "alone" holds the field only, and "gone" is deleted.
type work struct {
	field string
	do    func(t *testing.T, st *dial.Store) error
}

var (
	value = sdk.SensitiveString(`{"key":"new"}`)
	tasks = map[string]work{
		"get": {do: func(t *testing.T, st *dial.Store) error {
			_, err := st.Get(t.Context(), sdk.GetRequest{Name: "there"})
			return err
		}},
		"stat, versions": {do: statAndVersions},
		"list":           {do: list},
		"stat and list with a field, beside the above": {field: "key", do: func(t *testing.T, st *dial.Store) error {
			return errors.Join(statAndVersions(t, st), list(t, st))
		}},
		"put": {do: putBoth},
		"put with a condition, and what it was that failed": {do: func(t *testing.T, st *dial.Store) error {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "new", Value: value, If: sdk.IfAbsent()})
			_, err2 := st.Put(t.Context(), sdk.PutRequest{Name: "there", Value: value, If: sdk.IfVersion("1")})
			return errors.Join(err, err2, lost(st.Put(t.Context(), sdk.PutRequest{Name: "there", Value: value, If: sdk.IfAbsent()})))
		}},
		`put with a field; with "patch" beside these it is one request`: {field: "key", do: putBoth},
		"put of a new secret with labels": {do: func(t *testing.T, st *dial.Store) error {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "new", Value: value, Labels: map[string]string{"team": "a"}})
			return err
		}},
		"delete": {do: deleted("there", false)},
		"delete with a field": {field: "key", do: func(t *testing.T, st *dial.Store) error {
			return errors.Join(deleted("there", false)(t, st), deleted("alone", false)(t, st))
		}},
		"restore": {do: func(t *testing.T, st *dial.Store) error {
			return st.Restore(t.Context(), sdk.RestoreRequest{Name: "gone"})
		}},
		"purge": {do: deleted("there", true)},
		"purge with a field": {field: "key", do: func(t *testing.T, st *dial.Store) error {
			return errors.Join(deleted("there", true)(t, st), deleted("alone", true)(t, st))
		}},
		`encrypt; with "create" a key that does not exist would be made`: {do: func(t *testing.T, st *dial.Store) error {
			_, err := st.Encrypt(t.Context(), sdk.EncryptRequest{Plaintext: value})
			return err
		}},
		"decrypt": {do: func(t *testing.T, st *dial.Store) error {
			_, err := st.Decrypt(t.Context(), sdk.DecryptRequest{Ciphertext: []byte("vault:v1:bm90aGluZw==")})
			return malformed(err)
		}},
	}
)

func statAndVersions(t *testing.T, st *dial.Store) error {
	_, err := st.Stat(t.Context(), sdk.StatRequest{Name: "there"})
	_, err2 := st.Versions(t.Context(), sdk.VersionsRequest{Name: "there", PageSize: 10})
	return errors.Join(err, err2)
}

func list(t *testing.T, st *dial.Store) error {
	_, err := st.List(t.Context(), sdk.ListRequest{PageSize: 10})
	return err
}

func putBoth(t *testing.T, st *dial.Store) error {
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "new", Value: value})
	_, err2 := st.Put(t.Context(), sdk.PutRequest{Name: "there", Value: value})
	return errors.Join(err, err2)
}

// lost is nil for a condition that did not hold, as is to be.
func lost(_ sdk.PutResult, err error) error {
	if sdk.CodeOf(err) == sdk.AlreadyExists {
		return nil
	}
	return err
}

// malformed is nil for a ciphertext that the engine read and found to be none.
func malformed(err error) error {
	if sdk.CodeOf(err) == sdk.InvalidArgument {
		return nil
	}
	return err
}

func deleted(name string, purge bool) func(*testing.T, *dial.Store) error {
	return func(t *testing.T, st *dial.Store) error {
		_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: purge})
		return err
	}
}

var (
	block = regexp.MustCompile(`(?m)^# (.*)\n((?:path .*\n)+)`)
	words = regexp.MustCompile(`"(create|read|update|patch|delete|list)"`)
)

func TestEachBlockOfTheDocumentedPolicyIsEnoughAndNothingInItTooMuch(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```hcl\n")
	policy, _, _ := strings.Cut(rest, "```")
	p := startPlugin(t)
	var done []string
	for _, b := range block.FindAllStringSubmatch(policy, -1) {
		name, rules := b[1], b[2]
		task, known := tasks[name]
		if !known {
			t.Errorf("the page has the block %q, which no test knows", name)
			continue
		}
		done = append(done, name)
		if err := task.with(t, p, rules); err != nil {
			t.Errorf("%s, with its policy: %v", name, err)
		}
		for _, at := range words.FindAllStringIndex(rules, -1) {
			less := rules[:at[0]] + `"deny_nothing"` + rules[at[1]:]
			less = regexp.MustCompile(`"deny_nothing",? ?`).ReplaceAllString(less, "")
			less = strings.NewReplacer(", ]", " ]", "[]", `["sudo"]`).Replace(less) // of no use without another one
			if err := task.with(t, p, less); sdk.CodeOf(err) != sdk.PermissionDenied {
				t.Errorf("%s, without %s: %v; want permission denied. The policy was\n%s", name, rules[at[0]:at[1]], err, less)
			}
		}
	}
	for name := range tasks {
		if !slices.Contains(done, name) {
			t.Errorf("the page has no block %q", name)
		}
	}
}

// with does the work in a mount of its own with a token that has these rules and the policy default.
func (w work) with(t *testing.T, p *dial.Plugin, rules string) error {
	t.Helper()
	mount, transit := srv.KV(t, 2), srv.Transit(t, "gateway")
	for name, data := range map[string]set{"there": {"key": "v", "sibling": "s"}, "alone": {"key": "v"}, "gone": {"key": "v"}} {
		srv.Write(t, mount+"/data/gateway/prod/"+name, set{"data": data})
	}
	srv.Write(t, mount+"/delete/gateway/prod/gone", set{"versions": []int{1}})
	rules = strings.NewReplacer(`"secret/`, `"`+mount+`/`, `"transit/`, `"`+transit+`/`).Replace(rules)
	st := reopen(t, p, srv, set{"mount": mount, "path_prefix": "gateway/prod", "field": w.field, "transit": transit, "transit_key": "gateway",
		"auth": tokenAuth(srv.NewToken(t, rules))})
	return w.do(t, st)
}

// Without lookup-self a denied call cannot be told from a token that has ended.
func TestTheDocumentedPolicyOfTheTokenItselfTakesThePlaceOfTheDefaultOne(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/vault.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Split(string(page), "```hcl\n")
	own, _, _ := strings.Cut(pieces[len(pieces)-1], "```")
	if !strings.Contains(own, "lookup-self") || len(pieces) != 3 {
		t.Fatal("the page shows no policy of the token itself")
	}
	mount := srv.KV(t, 1)
	srv.Write(t, mount+"/x", set{"a": "b"})
	role := srv.AppRole(t, own+reading(mount), set{"token_no_default_policy": true})
	st := openStore(t, srv, set{"mount": mount, "kv_version": 1, "auth": approleAuth(role)})
	wantValue(t, st, `{"a":"b"}`)
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "x", Value: sdk.SensitiveString(`{}`)})
	wantCode(t, "put that the policy denies", err, sdk.PermissionDenied)
	if got := srv.Logins(t, role.Mount); got != 1 {
		t.Errorf("%d logins, want 1", got)
	}
	if err := st.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := srv.Logins(t, role.Mount); got != 0 {
		t.Errorf("%d logins live on after close", got)
	}
}
