package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/keyway-dev/keyway/host/internal/suggest"
)

// verdict gathers what is wrong with one store's settings, in the words of the file.
type verdict struct {
	c        *Config
	store    string
	instance any
	schemas  map[string]*jsonschema.Schema // by location, those that apply anywhere in the instance
	closed   map[string]bool               // paths with nothing more to say: literal secrets
	problems []Problem
}

func (v *verdict) fault(path, format string, args ...any) {
	v.problems = append(v.problems, v.c.Problem(path, format, args...))
}

// survey notes the schemas that apply to the instance and refuses literals where one of them is writeOnly.
func (v *verdict) survey(x any, schemas []*jsonschema.Schema, path string, secret bool) {
	schemas = applicable(schemas)
	for _, s := range schemas {
		v.schemas[s.Location] = s
		secret = secret || s.WriteOnly
	}
	switch x := x.(type) {
	case map[string]any:
		for _, k := range sorted(x) {
			v.survey(x[k], ofProperty(schemas, k), join(path, k), secret)
		}
	case []any:
		for i, e := range x {
			v.survey(e, ofItem(schemas, i), join(path, strconv.Itoa(i)), secret)
		}
	case string:
		if secret && x != "" && !isReference(x) {
			v.literal(path)
		}
	default:
		if secret && x != nil {
			v.literal(path)
		}
	}
}

func (v *verdict) literal(path string) {
	v.closed[path] = true
	v.fault(path, "literal secret; use secret://cred/…, secret://env/…, secret://file/… or another store")
}

// prune gives the leaves of a validation error, without those that a reference excuses. An alternative that is left without
// a leaf is met.
func (v *verdict) prune(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if v.excused(e) {
		return nil
	}
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		for _, c := range e.Causes {
			if len(v.prune(c)) == 0 {
				return nil
			}
		}
		return []*jsonschema.ValidationError{e}
	}
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var out []*jsonschema.ValidationError
	for _, c := range e.Causes {
		out = append(out, v.prune(c)...)
	}
	return out
}

// excused reports whether an error is about the form of a text that a reference stands for, or at a place that is closed.
func (v *verdict) excused(e *jsonschema.ValidationError) bool {
	if v.closed[v.path(e)] {
		return true
	}
	text, ok := lookup(v.instance, e.InstanceLocation).(string)
	if !ok || !isReference(text) {
		return false
	}
	t, wrongType := e.ErrorKind.(*kind.Type)
	return !wrongType || slices.Contains(t.Want, "string")
}

func (v *verdict) path(e *jsonschema.ValidationError) string {
	return Path(append([]string{"stores", v.store, "settings"}, e.InstanceLocation...)...)
}

func (v *verdict) report(leaves []*jsonschema.ValidationError) {
	for _, e := range leaves {
		v.explain(e, v.path(e), v.schemas[e.SchemaURL])
	}
}

// explain says one error in the file's terms. It uses what the schema wants, never what the settings have.
func (v *verdict) explain(e *jsonschema.ValidationError, path string, s *jsonschema.Schema) {
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			v.fault(join(path, name), "unknown setting%s", knownSettings(name, s))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			v.fault(join(path, name), "is required")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			v.fault(join(path, name), "is required beside %s", printable(k.Prop))
		}
	case *kind.MinProperties, *kind.MaxProperties:
		v.fault(path, "%s", countOf(s))
	default:
		v.fault(path, "%s", wants(e.ErrorKind, s))
	}
}

// wants says what the schema wants of one value.
func wants(k jsonschema.ErrorKind, s *jsonschema.Schema) string {
	switch k := k.(type) {
	case *kind.Type:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = typeWord(w)
		}
		return "must be " + oneOf(words) + ", not " + typeWord(k.Got)
	case *kind.Enum:
		return "must be one of " + valueList(k.Want)
	case *kind.Const:
		return "must be " + valueList([]any{k.Want})
	case *kind.Pattern:
		return "must have the form " + printable(k.Want) + exampleOf(s)
	case *kind.Format:
		return "is not a well-formed " + printable(k.Want) + exampleOf(s)
	case *kind.MinLength:
		if k.Want == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d in the list", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d in the list", k.Want)
	case *kind.UniqueItems:
		return "has something in the list twice"
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.AnyOf, *kind.OneOf:
		return "has none of the forms that the plugin takes, or more than one"
	}
	return "is not what the plugin takes"
}

func typeWord(t string) string {
	switch t {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "string":
		return "a text"
	case "integer":
		return "a whole number"
	case "number":
		return "a number"
	case "boolean":
		return "true or false"
	}
	return "nothing"
}

// countOf says how many keys an object takes; with exactly one it is a choice between alternatives.
func countOf(s *jsonschema.Schema) string {
	if s == nil {
		return "has too few or too many keys"
	}
	names := sorted(s.Properties)
	least, most := s.MinProperties, s.MaxProperties
	switch {
	case least != nil && most != nil && *least == 1 && *most == 1 && len(names) > 0:
		return "needs exactly one of " + list(names)
	case least != nil && most != nil:
		return fmt.Sprintf("must have %d to %d keys", *least, *most)
	case least != nil:
		return fmt.Sprintf("must have at least %d keys", *least)
	}
	return fmt.Sprintf("must have at most %d keys", *most)
}

func knownSettings(name string, s *jsonschema.Schema) string {
	if s == nil || len(s.Properties) == 0 {
		return ""
	}
	names := sorted(s.Properties)
	if hint := suggest.Hint(name, names); hint != "" {
		return hint
	}
	return "; the settings here are " + list(names)
}

func exampleOf(s *jsonschema.Schema) string {
	if s == nil {
		return ""
	}
	if s.Default != nil {
		return "; for example " + valueList([]any{*s.Default})
	}
	if len(s.Examples) > 0 {
		return "; for example " + valueList(s.Examples[:1])
	}
	return ""
}

// maxWords bounds the words of a plugin's schema that one message lists.
const maxWords = 40

func list(names []string) string {
	words := make([]string, 0, min(len(names), maxWords))
	for _, n := range names[:min(len(names), maxWords)] {
		words = append(words, printable(n))
	}
	return strings.Join(words, ", ")
}

func valueList(values []any) string {
	words := make([]string, len(values))
	for i, x := range values {
		words[i] = fmt.Sprint(x)
	}
	return list(words)
}

// printable bounds a text from a plugin's schema and leaves nothing in it that a terminal would obey.
func printable(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	q := strconv.Quote(s)
	if q == `"`+s+`"` {
		return s
	}
	return q
}
