package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// plugin is a settings schema as sdk.Define writes it.
const plugin = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "required": ["address"],
  "properties": {
    "address": {"type": "string", "minLength": 1, "examples": ["https://vault:8200"]},
    "auth": {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": {
      "token": {"type": "object", "additionalProperties": false, "required": ["token"], "properties": {
        "token": {"writeOnly": true, "type": "string", "format": "password", "minLength": 1}}},
      "approle": {"type": "object", "additionalProperties": false, "required": ["role_id"], "properties": {
        "role_id": {"type": "string"}, "secret_id": {"writeOnly": true, "type": "string", "format": "password"}}}}},
    "timeout": {"default": "5s", "type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"},
    "kind": {"enum": ["kv1", "kv2"], "type": "string"},
    "port": {"type": "integer", "minimum": 0},
    "ca_file": {"type": "string", "format": "path"},
    "files": {"type": "array", "items": {"type": "string", "format": "path"}},
    "secrets": {"type": "array", "items": {"writeOnly": true, "type": "string"}},
    "headers": {"type": "object", "additionalProperties": {"type": "string"}}
  }
}`

// settings checks a store with these lines as its settings; the first is in line 6.
func settings(t *testing.T, schema, lines string) string {
	t.Helper()
	c := parse(t, store("provider: x\nsettings:\n  "+strings.ReplaceAll(lines, "\n", "\n  ")))
	var out []string
	for _, p := range c.CheckSettings("prod", SchemaOf(sdk.Manifest{Name: "x", Schema: json.RawMessage(schema)})) {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func TestGoodSettings(t *testing.T) {
	for _, lines := range []string{
		"address: https://vault:8200",
		"address: a\nauth: {token: {token: secret://cred/t}}\ntimeout: 30s\nkind: kv2\nport: 8200",
		"address: secret://env/ADDRESS\nkind: os.environ/KIND\ntimeout: secret://env/T\nca_file: secret://file/x",
		"address: https://${secret://env/HOST}:8200\nauth: {approle: {role_id: r, secret_id: \"${secret://env/A}-${secret://env/B}\"}}",
		"address: a\nauth: {approle: {role_id: r, secret_id: \"\"}}\nsecrets: [secret://env/A]\nheaders: {A: b}",
	} {
		if got := settings(t, plugin, lines); got != "" {
			t.Errorf("CheckSettings of\n%s\ngave\n%s", lines, got)
		}
	}
}

func TestBadSettings(t *testing.T) {
	const literal = "literal secret; use secret://cred/…, secret://env/…, secret://file/… or another store"
	for _, c := range []struct{ lines, want string }{
		{"kind: kv2", "k.yaml:5:5 stores.prod.settings.address: is required"},
		{"address: \"\"", "k.yaml:6:7 stores.prod.settings.address: must not be empty"},
		{"address: 5", "k.yaml:6:7 stores.prod.settings.address: must be a text, not a number"},
		{"address: a\naddrss: b", `k.yaml:7:7 stores.prod.settings.addrss: unknown setting; did you mean "address"?`},
		{"address: a\nregion: b", "k.yaml:7:7 stores.prod.settings.region: unknown setting; the settings here are address, auth, ca_file, files, headers, kind, port, secrets, timeout"},
		{"address: a\nauth: {token: {token: hvs.canary}}", "k.yaml:7:22 stores.prod.settings.auth.token.token: " + literal},
		{"address: a\nauth: {token: {token: 12345}}", "k.yaml:7:22 stores.prod.settings.auth.token.token: " + literal},
		{"address: a\nsecrets:\n  - secret://env/A\n  - canary", "k.yaml:9:11 stores.prod.settings.secrets[1]: " + literal},
		{"address: a\nauth: {token: {token: hvs.canary}, approle: {role_id: r}}", "k.yaml:7:7 stores.prod.settings.auth: needs exactly one of approle, token\nk.yaml:7:22 stores.prod.settings.auth.token.token: " + literal},
		{"address: a\nauth: {}", "k.yaml:7:7 stores.prod.settings.auth: needs exactly one of approle, token"},
		{"address: a\nauth: {approle: {}}", "k.yaml:7:14 stores.prod.settings.auth.approle.role_id: is required"},
		{"address: a\nauth: {aprole: {}}", `k.yaml:7:14 stores.prod.settings.auth.aprole: unknown setting; did you mean "approle"?`},
		{"address: a\nauth: approle", "k.yaml:7:7 stores.prod.settings.auth: must be a mapping, not a text"},
		{"address: a\nauth: secret://env/A", "k.yaml:7:7 stores.prod.settings.auth: must be a mapping, not a text"},
		{"address: a\nkind: kv3", "k.yaml:7:7 stores.prod.settings.kind: must be one of kv1, kv2"},
		{"address: a\nport: \"8200\"", "k.yaml:7:7 stores.prod.settings.port: must be a whole number, not a text"},
		{"address: a\nport: -1", "k.yaml:7:7 stores.prod.settings.port: must be at least 0"},
		{"address: a\nport: secret://env/PORT", "k.yaml:7:7 stores.prod.settings.port: must be a whole number, not a text"},
		{"address: a\ntimeout: 5", "k.yaml:7:7 stores.prod.settings.timeout: must be a text, not a number"},
		{"address: a\ntimeout: soon", `k.yaml:7:7 stores.prod.settings.timeout: must have the form "^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"; for example 5s`},
		{"address: a\nfiles: x", "k.yaml:7:7 stores.prod.settings.files: must be a list, not a text"},
		{"address: a\nheaders: {A: 1}", "k.yaml:7:17 stores.prod.settings.headers.A: must be a text, not a number"},
	} {
		got := strings.ReplaceAll(settings(t, plugin, c.lines), "keyway.yaml", "k.yaml")
		if got != c.want {
			t.Errorf("CheckSettings of\n%s\n got %s\nwant %s", c.lines, got, c.want)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("CheckSettings of\n%s\nshows the literal", c.lines)
		}
	}
}

func TestHostileSchemas(t *testing.T) {
	for name, c := range map[string]struct{ schema, want string }{
		"none":            {"", "it is not JSON"},
		"not an object":   {"true", "it is not an object"},
		"not a schema":    {`{"type": 5}`, "it is not a JSON Schema 2020-12"},
		"file":            {`{"$ref": "file:///etc/passwd"}`, "it refers to another document"},
		"relative file":   {`{"$ref": "other.json"}`, "it refers to another document"},
		"network":         {`{"properties": {"a": {"$ref": "http://192.0.2.1/x"}}}`, "it refers to another document"},
		"own metaschema":  {`{"$schema": "http://192.0.2.1/meta"}`, "it refers to another document"},
		"too large":       {`{"title": "` + strings.Repeat("x", maxSchema) + `"}`, "bytes are over the limit of 262144"},
		"a bad pattern":   {`{"properties": {"a": {"pattern": "("}}}`, "it is not a JSON Schema 2020-12"},
		"terminal codes":  {`{"additionalProperties": false, "properties": {"` + `\u001b[31mred` + `": {}}}`, `the settings here are "\x1b[31mred"`},
		"endless":         {`{"$ref": "#"}`, ""},
		"endless below":   {`{"additionalProperties": {"$ref": "#"}}`, ""},
		"an unmet choice": {`{"anyOf": [{"required": ["b"]}, {"required": ["c"]}]}`, "has none of the forms"},
		"never":           {`{"properties": {"a": false}}`, "is not what the plugin takes"},
	} {
		got := settings(t, c.schema, "a: x")
		if !strings.Contains(got, c.want) || strings.ContainsAny(got, "\x1b") || len(got) > 500 {
			t.Errorf("%s: %.600q, want a problem with %q", name, got, c.want)
		}
	}
}

func TestAReferenceMeetsAnAlternative(t *testing.T) {
	const schema = `{"properties": {"a": {"anyOf": [{"type": "string", "pattern": "^x$"}, {"type": "integer"}]}}}`
	if got := settings(t, schema, "a: secret://env/A"); got != "" {
		t.Errorf("a reference where a form is wanted: %s", got)
	}
	if got := settings(t, schema, "a: canary"); !strings.Contains(got, "has none of the forms") {
		t.Errorf("a literal that fits neither: %s", got)
	}
}

func TestAbsPaths(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	in := map[string]any{
		"address": "ca.pem", "ca_file": "tls/ca.pem", "port": int64(1),
		"files": []any{"a", "/b", "secret://file/c", "d/../e", "", "~/f"}, "headers": map[string]any{"A": "x"},
	}
	c := &Config{File: filepath.Join(dir, "keyway.yaml"), Stores: map[string]Store{"prod": {Provider: "x", Settings: in}}}
	before := fmt.Sprint(in)
	got := c.AbsPaths("prod", SchemaOf(sdk.Manifest{Schema: json.RawMessage(plugin)}))
	want := map[string]any{
		"address": "ca.pem", "ca_file": dir + "/tls/ca.pem", "port": int64(1),
		"files": []any{dir + "/a", "/b", "secret://file/c", dir + "/e", "", home + "/f"}, "headers": map[string]any{"A": "x"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("AbsPaths gave\n%v, want\n%v", got, want)
	}
	if got["files"].([]any)[0] = "changed"; fmt.Sprint(in) != before {
		t.Errorf("AbsPaths shares the settings: %v", in)
	}
	if got := c.AbsPaths("prod", SchemaOf(sdk.Manifest{Schema: json.RawMessage(`{"$ref": "x"}`)})); !reflect.DeepEqual(got, in) {
		t.Errorf("AbsPaths with an unusable schema gave %v, want a copy", got)
	}
}

// FuzzCheckSettings: whatever a plugin's schema says, no panic, and the literal is never shown.
func FuzzCheckSettings(f *testing.F) {
	f.Add(plugin)
	f.Add(`{"enum": [1], "not": {}, "if": {"const": "x"}, "then": false, "dependentSchemas": {"a": {"$ref": "#"}}}`)
	f.Add(`{"$defs": {"a": {"$dynamicAnchor": "x"}}, "$dynamicRef": "#x", "propertyNames": {"pattern": "^z"}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		c := &Config{Stores: map[string]Store{"prod": {Settings: map[string]any{
			"address": "canary-7d1e", "auth": map[string]any{"token": map[string]any{"token": "canary-7d1e"}}, "files": []any{"canary-7d1e", 1.5, nil}}}}}
		m := sdk.Manifest{Schema: json.RawMessage(schema)}
		for _, p := range c.CheckSettings("prod", SchemaOf(m)) {
			if strings.Contains(p.Message, "canary-7d1e") && !strings.Contains(schema, "canary") || strings.ContainsAny(p.String(), "\n\x1b") {
				t.Fatalf("problem %q", p)
			}
		}
		c.AbsPaths("prod", SchemaOf(m))
	})
}
