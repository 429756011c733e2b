package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyway-dev/keyway/sdk"
)

// settings has one field of every kind.
type settings struct {
	Address string            `json:"address" keyway:"required" doc:"Where it listens." example:"https://vault:8200"`
	Token   sdk.Sensitive     `json:"token" doc:"How to log in."`
	Pin     sdk.Sensitive     `json:"pin" keyway:"required"`
	Mode    string            `json:"mode" enum:"kv1,kv2" default:"kv2"`
	Shards  int               `json:"shards" enum:"1,2,4" default:"2"`
	Retries uint8             `json:"retries" default:"3"`
	Factor  float64           `json:"factor" default:"1.5"`
	TLS     bool              `json:"tls" default:"true"`
	Timeout time.Duration     `json:"timeout" default:"30s"`
	File    string            `json:"file" keyway:"path,operator"`
	Names   []string          `json:"names" enum:"a,b"`
	Hosts   []string          `json:"hosts" keyway:"required"`
	Tags    map[string]string `json:"tags" keyway:"required"`
	Extra   map[string]string `json:"extra"`
	Keys    []sdk.Sensitive   `json:"keys"`
	Proxy   proxy             `json:"proxy"`
	Rules   []proxy           `json:"rules"`
	Auth    *auth             `json:"auth" keyway:"oneof" default:"ambient"`
	private int
}

type proxy struct {
	Host string `json:"host" keyway:"required"`
	Port uint16 `json:"port" default:"8080"`
}

type auth struct {
	Ambient *struct{} `json:"ambient"`
	Token   *token    `json:"token"`
}

type token struct {
	Value sdk.Sensitive `json:"value" keyway:"required"`
}

// with changes a document that is good: JSON members, or "-name" to leave one out.
func with(changes ...string) string {
	doc := map[string]string{"address": `"h:1"`, "pin": `"p"`, "hosts": `["h"]`, "tags": `{"k":"v"}`}
	for _, c := range changes {
		if name, gone := strings.CutPrefix(c, "-"); gone {
			delete(doc, name)
			continue
		}
		name, value, _ := strings.Cut(c, "=")
		doc[name] = value
	}
	var members []string
	for name, value := range doc {
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// problems writes what is wrong with a document, a line each.
func problems(doc string) string {
	var s settings
	var out []string
	for _, p := range sdk.DecodeSettings([]byte(doc), &s) {
		out = append(out, p.Path+": "+p.Message)
	}
	return strings.Join(out, "\n")
}

func spaced(v ...any) string { return strings.TrimSpace(fmt.Sprintln(v...)) }

func TestDefaultsFillWhatIsNotSet(t *testing.T) {
	var s settings
	// null is the same as not there: templates that have nothing to say write it
	if p := sdk.DecodeSettings([]byte(with("mode=null", "timeout=null", "auth=null", "proxy={\"host\":\"p\"}")), &s); len(p) > 0 {
		t.Fatalf("problems: %v", p)
	}
	got := spaced(s.Mode, s.Shards, s.Retries, s.Factor, s.TLS, s.Timeout, s.Proxy, s.Auth.Ambient != nil, s.Auth.Token == nil, s.private)
	if want := "kv2 2 3 1.5 true 30s {p 8080} true true 0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSettingsAreReadIntoEveryKind(t *testing.T) {
	var s settings
	doc := with(`token="t"`, `mode="kv1"`, "shards=4", "retries=0", "factor=2", "tls=false", `timeout="1m"`, `file="/f"`, `names=["a","b"]`, `extra={"x/y":""}`,
		`keys=["k1","k2"]`, `proxy={"host":"p","port":1}`, `rules=[{"host":"r"}]`, `auth={"token":{"value":"v"}}`)
	if p := sdk.DecodeSettings([]byte(doc), &s); len(p) > 0 {
		t.Fatalf("problems: %v", p)
	}
	got := spaced(s.Address, string(s.Token.Reveal()), string(s.Pin.Reveal()), s.Mode, s.Shards, s.Retries, s.Factor, s.TLS, s.Timeout, s.File, s.Names, s.Hosts,
		s.Tags, s.Extra, len(s.Keys), string(s.Keys[1].Reveal()), s.Proxy, s.Rules, s.Auth.Ambient == nil, string(s.Auth.Token.Value.Reveal()))
	if want := "h:1 t p kv1 4 0 2 false 1m0s /f [a b] [h] map[k:v] map[x/y:] 2 k2 {p 1} [{r 8080}] true v"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryFaultIsToldAtItsPath(t *testing.T) {
	list := "address, token, pin, mode, shards, retries, factor, tls, timeout, file, names, hosts, tags, extra, keys, proxy, rules, auth"
	cases := []struct{ doc, want string }{
		{"", "/address: is required\n/pin: is required\n/hosts: is required\n/tags: is required"},
		{"null", ": must be an object"},
		{"[]", ": must be an object"},
		{`{"address":`, ": must be an object"},
		{`{} {}`, ": must be one object, with nothing after it"},
		{with("Address=1"), "/Address: is not a setting; the settings here are " + list},
		{with("a/b~c=1"), "/a~1b~0c: is not a setting; the settings here are " + list},
		{with("private=1"), "/private: is not a setting; the settings here are " + list},
		{with("address=null"), "/address: is required"},
		{with(`address=""`), "/address: must not be empty"},
		{with("address=1"), "/address: must be a string"},
		{with(`pin=""`), "/pin: must not be empty"},
		{with("token=1"), "/token: must be a string"},
		{with(`token={"a":1}`), "/token: must be a string"},
		{with(`mode="kv3"`), "/mode: must be one of kv1, kv2"},
		{with("shards=3"), "/shards: must be one of 1, 2, 4"},
		{with(`shards="2"`), "/shards: must be a whole number"},
		{with("shards=2.5"), "/shards: must be a whole number"},
		{with("retries=-1"), "/retries: must be a whole number of 0 or more"},
		{with("retries=256"), "/retries: must be a whole number of 0 or more"},
		{with(`factor="x"`), "/factor: must be a number"},
		{with(`tls="yes"`), "/tls: must be true or false"},
		{with("timeout=30"), `/timeout: must be a duration such as "30s"`},
		{with(`timeout="-1s"`), `/timeout: must be a duration such as "30s"`},
		{with(`timeout="soon"`), `/timeout: must be a duration such as "30s"`},
		{with(`names="a"`), "/names: must be a list"},
		{with(`names=["a","c",null]`), "/names/1: must be one of a, b\n/names/2: must be a string"},
		{with("hosts=[]"), "/hosts: must not be empty"},
		{with("tags={}"), "/tags: must not be empty"},
		{with(`tags=["k"]`), "/tags: must be an object of strings"},
		{with(`tags={"a":1,"b/c":null}`), "/tags/a: must be a string\n/tags/b~1c: must be a string"},
		{with(`extra={"a":"1","a":"2"}`), "/extra/a: is set twice"},
		{with(`keys=["k",null]`), "/keys/1: must be a string"},
		{with("proxy={}"), "/proxy/host: is required"},
		{with(`proxy={"host":"h","port":70000}`), "/proxy/port: must be a whole number of 0 or more"},
		{with(`rules=[{"host":"h"},{"hots":"h"}]`), "/rules/1/host: is required\n/rules/1/hots: is not a setting; the settings here are host, port"},
		{with("rules=[null]"), "/rules/0: must be an object"},
		{with("auth={}"), "/auth: needs exactly one of ambient, token"},
		{with(`auth={"ambient":{},"token":{"value":"v"}}`), "/auth: needs exactly one of ambient, token"},
		{with(`auth={"token":{}}`), "/auth/token/value: is required"},
		{with(`auth={"token":null}`), "/auth: needs exactly one of ambient, token"},
		{with(`auth={"ldap":{}}`), "/auth/ldap: is not a setting; the settings here are ambient, token\n/auth: needs exactly one of ambient, token"},
		{`{"address":"a","address":"b","pin":"p","hosts":["h"],"tags":{"k":"v"}}`, "/address: is set twice"},
	}
	for _, c := range cases {
		if got := problems(c.doc); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.doc, got, c.want)
		}
	}
}

func TestNoFaultQuotesAValue(t *testing.T) {
	for _, v := range []string{`"` + canary + `"`, `["` + canary + `"]`, `{"x":"` + canary + `"}`, `[["` + canary + `"]]`} {
		for _, field := range []string{"address", "token", "pin", "mode", "shards", "retries", "factor", "tls", "timeout", "file", "names", "hosts", "tags", "extra", "keys", "proxy", "rules", "auth", "unknown"} {
			if out := problems(with(field + "=" + v)); strings.Contains(out, canary) {
				t.Errorf("%s=%s: %s", field, v, out)
			}
		}
	}
	if out := problems(`{"pin": "` + canary); strings.Contains(out, canary) {
		t.Errorf("a document that is cut: %s", out)
	}
}

// schema compiles what Describe would publish with a validator that is not ours.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(context.Context, sdk.Env, settings) (*bare, error) { return nil, nil })
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(p.Manifest().Schema))
	if err != nil {
		t.Fatalf("the schema is not JSON: %v", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("settings.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("settings.json")
	if err != nil {
		t.Fatalf("the schema is not one of JSON Schema 2020-12: %v", err)
	}
	return s
}

func TestTheSchemaAndTheDecoderAgree(t *testing.T) {
	s := schema(t)
	docs := []string{with(), with("-address"), with("-hosts"), with(`address=""`), with("address=1"), with(`pin=""`), with("pin=1"), with(`mode="kv3"`), with("shards=4"),
		with("shards=3"), with("retries=-1"), with("factor=2"), with(`factor="2"`), with("tls=1"), with(`timeout="1h30m"`), with(`timeout="1.5s"`), with("timeout=30"),
		with(`timeout="-1s"`), with(`timeout="soon"`), with(`timeout=""`), with(`names=["a"]`), with(`names=["c"]`), with(`names=[null]`), with(`names="a"`), with("hosts=[]"),
		with("tags={}"), with(`tags={"a":1}`), with(`tags={"a":null}`), with(`extra={}`), with(`extra={"a":"b"}`), with(`keys=["k"]`), with("keys=[1]"), with("keys=[null]"),
		with("proxy={}"), with(`proxy={"host":"h"}`), with(`proxy={"host":""}`), with(`proxy={"host":"h","x":1}`), with(`rules=[{"host":"h"}]`), with("rules=[{}]"),
		with("rules=[null]"), with("auth={}"), with(`auth={"ambient":{}}`), with(`auth={"ambient":{"x":1}}`), with(`auth={"token":{"value":"v"}}`), with(`auth={"token":{}}`),
		with(`auth={"token":{"value":""}}`), with(`auth={"ambient":{},"token":{"value":"v"}}`), with("unknown=1"), "{}", "[]", "null", `"x"`}
	for _, doc := range docs {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		invalid, faults := s.Validate(instance), problems(doc)
		if (invalid == nil) != (faults == "") {
			t.Errorf("%s\nthe schema says %v\nthe decoder says %q", doc, invalid, faults)
		}
	}
}

func TestTheSchemaTellsAFormWhatItNeeds(t *testing.T) {
	p := sdk.Define(sdk.About{Name: "x", Version: "1.0.0"}, func(context.Context, sdk.Env, settings) (*bare, error) { return nil, nil })
	raw := string(p.Manifest().Schema)
	for _, want := range []string{`"$schema":"https://json-schema.org/draft/2020-12/schema"`, `"required":["address","pin","hosts","tags"]`, `"description":"Where it listens."`,
		`"examples":["https://vault:8200"]`, `"writeOnly":true`, `"format":"password"`, `"default":"30s"`, `"default":1.5`, `"default":{"ambient":{}}`, `"enum":[1,2,4]`,
		`"x-keyway-operator":true`, `"format":"path"`, `"minProperties":1,"maxProperties":1`} {
		if !strings.Contains(raw, want) {
			t.Errorf("the schema lacks %s: %s", want, raw)
		}
	}
	order := []string{`"address":`, `"token":`, `"pin":`, `"mode":`, `"timeout":`, `"auth":`}
	for i := 1; i < len(order); i++ {
		if strings.Index(raw, order[i-1]) > strings.Index(raw, order[i]) {
			t.Errorf("%s comes after %s; a form shows the fields in the struct's order", order[i-1], order[i])
		}
	}
}

func FuzzDecodeSettings(f *testing.F) {
	for _, doc := range []string{with(), with(`auth={"token":{"value":"v"}}`, `rules=[{"host":"h"}]`), `{"a":1,"a":2}`, "", "null", `{"tags":{"~/":null}}`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s settings
		faults := sdk.DecodeSettings(raw, &s)
		for _, p := range faults {
			if p.Path != "" && !strings.HasPrefix(p.Path, "/") || p.Message == "" {
				t.Errorf("problem %+v has no JSON Pointer or no message", p)
			}
		}
		if len(faults) > 0 {
			return
		}
		if len(bytes.TrimSpace(raw)) > 0 && !json.Valid(raw) {
			t.Error("what is not JSON was accepted")
		}
		if s.Address == "" || s.Pin.IsZero() || len(s.Hosts) == 0 || len(s.Tags) == 0 || s.Auth == nil || (s.Auth.Ambient == nil) == (s.Auth.Token == nil) {
			t.Errorf("accepted without what is required: %+v", s)
		}
	})
}

type nested struct {
	Outer struct {
		Size  int    `json:"size" default:"7"`
		Name  string `json:"name" keyway:"required"`
		Inner struct {
			Wait time.Duration `json:"wait" default:"2s"`
		} `json:"inner"`
	} `json:"outer"`
}

func TestDefaultsOfAStructThatIsLeftOutHold(t *testing.T) {
	var s nested
	if ps := sdk.DecodeSettings(nil, &s); len(ps) != 0 {
		t.Fatalf("problems %v, want none: what a struct requires, only a given one must have", ps)
	}
	if s.Outer.Size != 7 || s.Outer.Inner.Wait != 2*time.Second {
		t.Errorf("size %d, wait %v; want the defaults 7 and 2s", s.Outer.Size, s.Outer.Inner.Wait)
	}
	if ps := sdk.DecodeSettings([]byte(`{"outer":{}}`), &s); len(ps) != 1 || ps[0].Path != "/outer/name" {
		t.Errorf("problems %v, want the missing name", ps)
	}
}
