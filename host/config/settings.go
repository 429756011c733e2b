package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// maxSchema bounds a plugin's settings schema, in bytes: the contract's limit.
const maxSchema = 256 << 10

// SettingsSchema is the schema of a plugin's settings, read once for all stores that the plugin serves. It is immutable.
type SettingsSchema struct {
	schema *jsonschema.Schema
	err    error
}

// SchemaOf reads the schema of a manifest. One that is unusable is reported for each store by [Config.CheckSettings].
func SchemaOf(m sdk.Manifest) *SettingsSchema {
	schema, err := compile(m.Schema)
	return &SettingsSchema{schema, err}
}

// CheckSettings checks one store's settings against its plugin's schema, without the plugin. A setting that is a reference
// is not checked for its form, which nobody knows yet; a setting that the schema marks writeOnly must be a reference. A
// schema that is unusable, or would load another one from a file or the network, is a problem of the store's provider.
func (c *Config) CheckSettings(store string, of *SettingsSchema) []Problem {
	at := Path("stores", store, "settings")
	if of.err != nil {
		return []Problem{c.Problem(Path("stores", store, "provider"), "the plugin's settings schema cannot be used: %v", of.err)}
	}
	schema := of.schema
	settings, err := instance(c.Stores[store].Settings)
	if err != nil {
		return []Problem{c.Problem(at, "are not JSON")}
	}
	v := verdict{c: c, store: store, schemas: map[string]*jsonschema.Schema{}, closed: map[string]bool{}, instance: settings}
	v.survey(settings, []*jsonschema.Schema{schema}, at, false)
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(settings); errors.As(err, &invalid) {
		v.report(v.prune(invalid))
	} else if err != nil {
		return []Problem{c.Problem(Path("stores", store, "provider"), "the plugin's settings schema cannot be used on these settings")}
	}
	return inOrder(v.problems)
}

// AbsPaths is a deep copy of a store's settings in which relative paths are absolute, against the configuration's folder, or
// against the home folder for those that begin with "~/":
// where the schema says "format": "path", since a plugin runs in a folder of its own. References stay as they are, and so
// does everything if the schema is unusable, which [Config.CheckSettings] reports.
func (c *Config) AbsPaths(store string, of *SettingsSchema) map[string]any {
	settings := c.Stores[store].Settings
	var schemas []*jsonschema.Schema
	if of.err == nil {
		schemas = append(schemas, of.schema)
	}
	out, _ := c.absolute(settings, schemas).(map[string]any)
	return out
}

func (c *Config) absolute(v any, schemas []*jsonschema.Schema) any {
	schemas = applicable(schemas)
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = c.absolute(e, ofProperty(schemas, k))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = c.absolute(e, ofItem(schemas, i))
		}
		return out
	case string:
		for _, s := range schemas {
			if s.Format != nil && s.Format.Name == pathFormat && v != "" && !filepath.IsAbs(v) && !isReference(v) {
				return c.path(v)
			}
		}
	}
	return v
}

func (c *Config) path(text string) string {
	if below, ok := strings.CutPrefix(text, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, below)
		}
	}
	return c.Abs(text)
}

// pathFormat is the schema format of a setting that names a local file or folder.
const pathFormat = "path"

var errRemote = errors.New("it refers to another document")

// closedLoader refuses every document that a schema refers to: no file is read and nothing is sent for it.
type closedLoader struct{}

func (closedLoader) Load(string) (any, error) { return nil, errRemote }

// compile reads a plugin's schema, which is input like any other.
func compile(raw json.RawMessage) (*jsonschema.Schema, error) {
	if len(raw) > maxSchema {
		return nil, fmt.Errorf("%d bytes are over the limit of %d", len(raw), maxSchema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, ok := doc.(map[string]any); !ok {
		return nil, errors.New("it is not an object")
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(closedLoader{})
	c.RegisterFormat(&jsonschema.Format{Name: pathFormat, Validate: func(any) error { return nil }})
	c.AssertFormat()
	const address = "keyway://plugin/settings"
	if err := c.AddResource(address, doc); err != nil {
		return nil, errors.New("it is not JSON")
	}
	schema, err := c.Compile(address)
	if remote := (*jsonschema.LoadURLError)(nil); errors.As(err, &remote) {
		return nil, errRemote
	}
	if err != nil {
		return nil, errors.New("it is not a JSON Schema 2020-12")
	}
	return schema, nil
}

// instance gives settings as the validator wants them.
func instance(settings map[string]any) (any, error) {
	if settings == nil {
		return map[string]any{}, nil
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(raw))
}

// isReference reports whether a text is a reference or has one inside. Malformed ones count: Check reports them.
func isReference(text string) bool {
	if refs.Is(text) {
		return true
	}
	parts, err := refs.Split(text)
	for _, p := range parts {
		if p.Ref != nil {
			return true
		}
	}
	return err != nil
}

// applicable adds the schemas that stand behind others for the same value: $ref, allOf, anyOf, oneOf, if/then/else.
func applicable(schemas []*jsonschema.Schema) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	seen := map[*jsonschema.Schema]bool{nil: true}
	for len(schemas) > 0 {
		s := schemas[0]
		schemas = schemas[1:]
		if seen[s] {
			continue
		}
		seen[s] = true
		out = append(out, s)
		more := append([]*jsonschema.Schema{s.Ref, s.RecursiveRef, s.If, s.Then, s.Else}, s.AllOf...)
		if s.DynamicRef != nil {
			more = append(more, s.DynamicRef.Ref)
		}
		for _, d := range s.DependentSchemas {
			more = append(more, d)
		}
		schemas = append(append(append(more, s.AnyOf...), s.OneOf...), schemas...)
	}
	return out
}

// ofProperty gives the schemas of an object's member.
func ofProperty(schemas []*jsonschema.Schema, name string) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	for _, s := range schemas {
		matched := false
		if p, ok := s.Properties[name]; ok {
			out, matched = append(out, p), true
		}
		for pattern, p := range s.PatternProperties {
			if pattern.MatchString(name) {
				out, matched = append(out, p), true
			}
		}
		if a, ok := s.AdditionalProperties.(*jsonschema.Schema); ok && !matched {
			out = append(out, a)
		}
		out = append(out, s.UnevaluatedProperties)
	}
	return out
}

// ofItem gives the schemas of a list's element.
func ofItem(schemas []*jsonschema.Schema, i int) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	for _, s := range schemas {
		if i < len(s.PrefixItems) {
			out = append(out, s.PrefixItems[i])
		} else {
			out = append(out, s.Items2020)
		}
		if one, ok := s.Items.(*jsonschema.Schema); ok {
			out = append(out, one)
		}
		out = append(out, s.Contains, s.UnevaluatedItems)
	}
	return out
}

// lookup follows a validator's location into the instance.
func lookup(v any, location []string) any {
	for _, l := range location {
		switch c := v.(type) {
		case map[string]any:
			v = c[l]
		case []any:
			i, err := strconv.Atoi(l)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		}
	}
	return v
}
