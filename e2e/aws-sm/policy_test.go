//go:build e2e && unix

package awssm_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// policy is the one of the provider's page.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid, Effect string
	Action      []string
	Resource    string
}

func pagePolicy(t *testing.T) policy {
	t.Helper()
	page, err := os.ReadFile("../../docs/providers/aws-sm.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n```json\n")
	text, _, _ := strings.Cut(rest, "\n```\n")
	var p policy
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Statement) == 0 {
		t.Fatalf("the policy of the page: %v", err)
	}
	return p
}

// without gives the policy as moto understands it, which knows no resources, and less an action.
func (p policy) without(t *testing.T, action string) string {
	t.Helper()
	out := policy{Version: p.Version}
	for _, s := range p.Statement {
		s.Resource = "*"
		s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		if len(s.Action) > 0 {
			out.Statement = append(out.Statement, s)
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// needing are calls that each need one action of the policy, on a live secret at its first version.
var needing = map[string]func(t *testing.T, st *dial.Store, name, version string) error{
	"GetSecretValue": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
		return err
	},
	"DescribeSecret": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Stat(t.Context(), sdk.StatRequest{Name: name})
		return err
	},
	"ListSecretVersionIds": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Versions(t.Context(), sdk.VersionsRequest{Name: name, PageSize: 1})
		return err
	},
	"BatchGetSecretValue": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{name}})
		return err
	},
	"ListSecrets": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.List(t.Context(), sdk.ListRequest{Prefix: name, PageSize: 1})
		return err
	},
	"CreateSecret": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: name + "-new", Value: sdk.SensitiveString("v"), If: sdk.IfAbsent()})
		return err
	},
	"PutSecretValue": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString("w")})
		return err
	},
	"UpdateSecretVersionStage": func(t *testing.T, st *dial.Store, name, version string) error {
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString("w"), If: sdk.IfVersion(version)})
		return err
	},
	"DeleteSecret": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name})
		return err
	},
	"RestoreSecret": func(t *testing.T, st *dial.Store, name, _ string) error {
		return st.Restore(t.Context(), sdk.RestoreRequest{Name: name})
	},
	"RemoveRegionsFromReplication": func(t *testing.T, st *dial.Store, name, _ string) error {
		_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name + "-replicated"})
		return err
	},
}

func TestThePolicyOfThePageIsEnoughAndEachOfItsActionsIsNeeded(t *testing.T) {
	page := pagePolicy(t)
	p := startPlugin(t)
	root := reopen(t, p, enforced, nil)
	var actions []string
	for _, s := range page.Statement {
		actions = append(actions, s.Action...)
	}
	if len(actions) != len(needing) {
		t.Errorf("the page has %d actions, and %d are tried", len(actions), len(needing))
	}
	for _, action := range actions {
		call := needing[strings.TrimPrefix(action, "secretsmanager:")]
		if call == nil {
			t.Errorf("no call is known to need %s", action)
			continue
		}
		prepare := func() (name, version string) {
			name = "policy/" + enforced.Name()
			version = put(t, root, name, "v")
			put(t, reopen(t, p, enforced, set{"replica_regions": []string{"eu-west-1"}}), name+"-replicated", "v")
			return name, version
		}
		key := enforced.User(t, page.without(t, ""))
		st := reopen(t, p, enforced, set{"auth": key.Auth()})
		name, version := prepare()
		if err := call(t, st, name, version); err != nil {
			t.Errorf("with the whole policy, the call for %s: %v", action, err)
		}
		enforced.SetPolicy(t, key.User, page.without(t, action))
		name, version = prepare()
		err := call(t, st, name, version)
		wantCode(t, "without "+action, err, sdk.PermissionDenied)
		if err != nil && !strings.Contains(err.Error(), action) {
			t.Errorf("without %s: the error does not name it: %v", action, err)
		}
	}
}

func TestAReaderCannotWrite(t *testing.T) {
	page := pagePolicy(t)
	page.Statement = page.Statement[:2]
	p := startPlugin(t)
	name := "policy/" + enforced.Name()
	version := put(t, reopen(t, p, enforced, nil), name, "v")
	st := reopen(t, p, enforced, set{"auth": enforced.User(t, page.without(t, "")).Auth()})
	wantValue(t, st, name, "v")
	for _, action := range []string{"CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "DeleteSecret", "RestoreSecret"} {
		wantCode(t, action, needing[action](t, st, name, version), sdk.PermissionDenied)
	}
	wantValue(t, st, name, "v")
}
