package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("keyway:config", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("keyway:config")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaAndDecoderAgree(t *testing.T) {
	schema := compiled(t)
	for _, line := range []string{
		"name: a", "name: 1", "namme: a", "name: null", "plugins: {dir: x}", "plugins: x", "plugins: {dirs: x}",
		"cache: {ttl: 5m}", "cache: {ttl: 1h30m}", "cache: {ttl: 1.5s}", "cache: {ttl: 5}", "cache: {ttl: 0}", "cache: {ttl: \"0\"}", "cache: {ttl: +5m}", "cache: {ttl: 5d}", "cache: {ttl: 0s}",
		"cache: {max_bytes: 5}", "cache: {max_bytes: 5KiB}", "cache: {max_bytes: 5KB}", "cache: {max_bytes: -1}", "cache: {max_bytes: 1.5}", "cache: {max_entries: 1}", "cache: {max_entries: \"1\"}", "cache: {max_entries: -1}",
		"stores: {a: {provider: x, limits: {rate: 5/s}}}", "stores: {a: {provider: x, limits: {rate: 1.5/m}}}", "stores: {a: {provider: x, limits: {rate: 5}}}", "stores: {a: {provider: x, limits: {rate: 1e3/s}}}",
		"stores: {a: {provider: x, access: write}}", "stores: {a: {provider: x, access: all}}", "stores: {a: {}}", "stores: {a: {provider: x, required: true}}", "stores: {a: {provider: x, required: \"true\"}}",
		"stores: {a: {provider: x, settings: {anything: [1, {a: b}]}}}", "stores: {a: {provider: x, settings: []}}", "stores: {a: {provider: x, cache: {ttl: 1m}}}", "stores: []",
		"sources: {env: []}", "sources: {env: [A]}", "sources: {env: [1]}", "references: {fallback: env}", "references: {fallback: all}",
	} {
		text := "version: 1\n" + line + "\n"
		_, mine := Parse("k.yaml", []byte(text))
		var tree any
		if err := yaml.Load([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		if theirs := schema.Validate(tree); (mine == nil) != (theirs == nil) {
			t.Errorf("%s: the decoder says %v, the schema says %v", line, mine, theirs)
		}
	}
	for _, text := range []string{"version: 2", "name: a", "version: \"1\""} {
		var tree any
		if err := yaml.Load([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(tree) == nil {
			t.Errorf("the schema takes %q", text)
		}
	}
}

func TestEveryFieldHasItsTags(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Plugins](), reflect.TypeFor[Store](), reflect.TypeFor[References](),
		reflect.TypeFor[Sources](), reflect.TypeFor[Cache](), reflect.TypeFor[Limits]()} {
		for _, f := range fieldsOf(typ) {
			if f.name == "" || f.doc == "" {
				t.Errorf("%s: the field %d has no name or no doc", typ, f.index)
			}
			x := reflect.New(f.typ).Elem()
			if f.def == "" {
				continue
			}
			if err := f.parse(f.def, x); err != nil {
				t.Errorf("%s.%s: the default %s: %v", typ, f.name, f.def, err)
			}
			if got := f.format(x); got != f.def {
				t.Errorf("%s.%s: the default is written %s, want %s", typ, f.name, got, f.def)
			}
		}
	}
}

func TestSchemaIsStable(t *testing.T) {
	if a, b := Schema(), Schema(); !bytes.Equal(a, b) || !bytes.HasPrefix(a, []byte("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\"")) {
		t.Errorf("Schema gave %.200s", a)
	}
	if a := Schema(); !bytes.Contains(a, []byte(`<name>-<version>`)) {
		t.Errorf("Schema escapes what a reader sees:\n%.900s", a)
	}
}

func TestScalarsRoundTrip(t *testing.T) {
	for form, texts := range map[string][]string{
		"duration": {"1h", "90m0s|1h30m", "500ms", "1m30s", "1h0m1s", "0s", "100h"},
		"size":     {"1", "1023", "1KiB", "65536KiB|64MiB", "3GiB", "2TiB", "0"},
		"rate":     {"50/s", "100/m", "1000/h", "7/h", "60/m|1/s", "0/s", "999/m", "1.5/s|90/m"},
	} {
		f := field{form: form, typ: reflect.TypeFor[int64]()}
		switch form {
		case "duration":
			f.typ = durationType
		case "rate":
			f.typ = reflect.TypeFor[float64]()
		}
		for _, c := range texts {
			in, want, given := strings.Cut(c, "|")
			if !given {
				want = in
			}
			x := reflect.New(f.typ).Elem()
			if err := f.parse(in, x); err != nil {
				t.Errorf("%s %s: %v", form, in, err)
			}
			if got := f.format(x); got != want {
				t.Errorf("%s %s is written %s, want %s", form, in, got, want)
			}
		}
	}
}
