package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// bare is a store with no capability.
type bare struct{}

func (*bare) Check(context.Context) (sdk.Report, error) { return sdk.Report{}, nil }
func (*bare) Close(context.Context) error               { return nil }

type getter struct{ bare }

func (*getter) Get(context.Context, sdk.GetRequest) (sdk.Secret, error) { return sdk.Secret{}, nil }

// wrong has a method that is named like a capability and is none.
type wrong struct{ bare }

func (*wrong) Get(context.Context, string) (string, error) { return "", nil }

type none struct{}

func define[S any, P sdk.Store](a sdk.About) func() {
	return func() {
		sdk.Define(a, func(context.Context, sdk.Env, S) (P, error) {
			var p P
			return p, nil
		})
	}
}

func TestDefinePanicsOnAProgrammersMistake(t *testing.T) {
	good := sdk.About{Name: "x", Version: "1.0.0"}
	cases := []struct {
		name   string
		define func()
		says   string
	}{
		{"no name", define[none, *bare](sdk.About{Version: "1.0.0"}), "name must match"},
		{"a name in capitals", define[none, *bare](sdk.About{Name: "X", Version: "1.0.0"}), "name must match"},
		{"a name of 33 letters", define[none, *bare](sdk.About{Name: strings.Repeat("x", 33), Version: "1.0.0"}), "name must match"},
		{"no version", define[none, *bare](sdk.About{Name: "x"}), "semantic version"},
		{"a version with a v", define[none, *bare](sdk.About{Name: "x", Version: "v1.0.0"}), "semantic version"},
		{"an unknown network", define[none, *bare](sdk.About{Name: "x", Version: "1.0.0", Network: "tor"}), "network"},
		{"an interface as the store", define[none, sdk.Store](good), "concrete store type"},
		{"a method with another signature", define[none, *wrong](good), "another signature"},
		{"settings that are no struct", define[string, *bare](good), "must be a struct"},
		{"a field without a name", define[struct{ A string }, *bare](good), "needs a json tag"},
		{"an embedded field", define[struct {
			Proxy `json:"p"`
		}, *bare](good), "needs a json tag"},
		{"a field of no kind", define[struct {
			A chan int `json:"a"`
		}, *bare](good), "has no schema"},
		{"a map of numbers", define[struct {
			A map[string]int `json:"a"`
		}, *bare](good), "has no schema"},
		{"an unknown tag", define[struct {
			A string `json:"a" keyway:"optional"`
		}, *bare](good), "unknown keyway tag"},
		{"a path that is a number", define[struct {
			A int `json:"a" keyway:"path"`
		}, *bare](good), "only a string is a path"},
		{"a default that is no number", define[struct {
			A int `json:"a" default:"many"`
		}, *bare](good), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				x := recover()
				if x == nil || !strings.Contains(fmt.Sprint(x), c.says) || !strings.Contains(fmt.Sprint(x), "sdk.Define") {
					t.Errorf("panic %v, want one from sdk.Define that says %q", x, c.says)
				}
			}()
			c.define()
		})
	}
}

// Proxy is embedded in a case above, which needs an exported name.
type Proxy struct{}

type claiming struct {
	Claim string `json:"claim"`
	Bad   bool   `json:"bad"`
}

func (c *claiming) Capabilities(methods sdk.Capabilities) sdk.Capabilities {
	return methods | sdk.ParseCapabilities([]string{c.Claim})
}

func (c *claiming) Validate() []sdk.Problem {
	if c.Bad {
		return []sdk.Problem{{Path: "/bad", Message: "is bad"}, {Path: "/claim", Message: "too"}}
	}
	return nil
}

func (c *claiming) Reach() sdk.Reach { return sdk.Reach{Endpoints: []string{"h:1"}} }

func TestAnOpenedStoreTellsWhatItCanDo(t *testing.T) {
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(context.Context, sdk.Env, claiming) (*getter, error) { return &getter{}, nil })
	if got := strings.Join(p.Manifest().Capabilities, ","); got != "get" {
		t.Errorf("the manifest says %s, want get", got)
	}
	o, err := p.Open(t.Context(), sdk.Env{}, []byte(`{"claim":"get.version"}`))
	if err != nil || o.Capabilities != sdk.CanGet|sdk.CanGetVersion || o.Reach == nil || o.Reach.Endpoints[0] != "h:1" {
		t.Errorf("Open: %+v, %v", o, err)
	}
	if _, err := p.Open(t.Context(), sdk.Env{}, []byte(`{"claim":"put"}`)); sdk.CodeOf(err) != sdk.Internal {
		t.Errorf("settings that claim a method: %v, want internal", err)
	}
	_, err = p.Open(t.Context(), sdk.Env{}, []byte(`{"bad":true}`))
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.InvalidArgument || len(e.Problems) != 2 {
		t.Errorf("settings that Validate refuses: %v, want invalid argument with 2 problems", err)
	}
	silent := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(context.Context, sdk.Env, none) (*bare, error) { return &bare{}, nil })
	if o, err := silent.Open(t.Context(), sdk.Env{}, nil); err != nil || o.Reach != nil || o.Capabilities != 0 {
		t.Errorf("a store that tells nothing: %+v, %v; want no reach and no capability", o, err)
	}
}

func TestManifestsCarryOtherSystemsNames(t *testing.T) {
	type inner struct {
		Role string `json:"role" env:"A_ROLE"`
	}
	type tagged struct {
		Address string `json:"address" env:"A_ADDR,B_ADDR" litellm:"vault_addr"`
		Auth    *inner `json:"auth"`
	}
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0", Compat: map[string]string{"litellm.system": "x_system"}},
		func(context.Context, sdk.Env, tagged) (*bare, error) { return &bare{}, nil })
	got, _ := json.Marshal(p.Manifest().Compat)
	want := `{"litellm.env.A_ADDR":"/address","litellm.env.A_ROLE":"/auth/role","litellm.env.B_ADDR":"/address","litellm.setting.vault_addr":"/address","litellm.system":"x_system"}`
	if string(got) != want {
		t.Errorf("compat\n%s\nwant\n%s", got, want)
	}
}

func TestCapabilityWordsAreTheContracts(t *testing.T) {
	words := "get,get.version,get_batch,stat,list,versions,put,put.if_absent,put.if_version,put.labels,delete,delete.purge,delete.window,restore,encrypt,decrypt,aad,watch"
	all := sdk.ParseCapabilities(strings.Split(words, ","))
	if all != sdk.CanWatch<<1-1 || all.String() != words {
		t.Errorf("the words give %b, whose names are %s", all, all)
	}
	if c := sdk.ParseCapabilities([]string{"get", "teleport", "", "GET"}); c != sdk.CanGet {
		t.Errorf("unknown words add %v", c&^sdk.CanGet)
	}
	if !all.Has(sdk.CanGet|sdk.CanPut) || sdk.CanGet.Has(sdk.CanGet|sdk.CanPut) || !sdk.CanGet.Has(0) {
		t.Error("Has does not ask for all")
	}
	if sdk.Refinements.String() != "get.version,put.if_absent,put.if_version,put.labels,delete.purge,delete.window,aad" {
		t.Errorf("refinements are %s", sdk.Refinements)
	}
}
