package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// schemaOf writes the JSON Schema 2020-12 of a settings struct. It is text and not a map, because the order of the fields
// is the order that a form shows.
func schemaOf(t reflect.Type) (json.RawMessage, error) {
	var w schemaWriter
	if err := w.object(t, field{typ: t}, true); err != nil {
		return nil, err
	}
	if !json.Valid(w.Bytes()) {
		return nil, fmt.Errorf("schema of %s is not JSON; is a default or enum malformed?", t)
	}
	return w.Bytes(), nil
}

type schemaWriter struct{ bytes.Buffer }

// member writes `"key":value,`. Every object ends with a member of its own that has no comma.
func (w *schemaWriter) member(key string, v any) error {
	j, err := json.Marshal(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%q:%s,", key, j)
	return nil
}

func (w *schemaWriter) object(t reflect.Type, f field, top bool) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("settings must be a struct, not %s", t)
	}
	fields, err := fieldsOf(t)
	if err != nil {
		return err
	}
	w.WriteByte('{')
	if top {
		w.WriteString(`"$schema":"https://json-schema.org/draft/2020-12/schema",`)
	}
	if err := w.annotations(f); err != nil {
		return err
	}
	w.WriteString(`"type":"object","additionalProperties":false,`)
	if f.oneof {
		w.WriteString(`"minProperties":1,"maxProperties":1,`)
	}
	var required []string
	for _, x := range fields {
		if x.required && x.def == "" {
			required = append(required, x.name)
		}
	}
	if len(required) > 0 {
		if err := w.member("required", required); err != nil {
			return err
		}
	}
	w.WriteString(`"properties":{`)
	for i, x := range fields {
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(w, "%q:", x.name)
		if err := w.property(x); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	w.WriteString("}}")
	return nil
}

func (w *schemaWriter) annotations(f field) error {
	if f.doc != "" {
		if err := w.member("description", f.doc); err != nil {
			return err
		}
	}
	if f.operator {
		w.WriteString(`"x-keyway-operator":true,`)
	}
	if f.def != "" {
		return w.member("default", f.defaultJSON())
	}
	return nil
}

func (w *schemaWriter) property(f field) error {
	if s, ok := structOf(f.typ); ok {
		return w.object(s, f, false)
	}
	w.WriteByte('{')
	if err := w.annotations(f); err != nil {
		return err
	}
	if f.example != "" {
		if err := w.member("examples", []string{f.example}); err != nil {
			return err
		}
	}
	if len(f.enum) > 0 && f.typ.Kind() != reflect.Slice {
		if err := w.enum(f); err != nil {
			return err
		}
	}
	if f.required && f.typ.Kind() == reflect.String || f.required && f.typ == sensitiveType {
		w.WriteString(`"minLength":1,`)
	}
	return w.kind(f)
}

func (w *schemaWriter) enum(f field) error {
	if f.typ.Kind() == reflect.String {
		return w.member("enum", f.enum)
	}
	raw := make([]json.RawMessage, len(f.enum))
	for i, e := range f.enum {
		raw[i] = json.RawMessage(e)
	}
	return w.member("enum", raw)
}

// kind writes the type and closes the object.
func (w *schemaWriter) kind(f field) error {
	switch t, k := f.typ, f.typ.Kind(); {
	case t == sensitiveType:
		w.WriteString(`"writeOnly":true,"type":"string","format":"password"}`)
	case t == durationType:
		w.WriteString(`"type":"string","pattern":"^([0-9]+(\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"}`)
	case f.path:
		w.WriteString(`"type":"string","format":"path"}`)
	case k == reflect.String:
		w.WriteString(`"type":"string"}`)
	case k == reflect.Bool:
		w.WriteString(`"type":"boolean"}`)
	case k >= reflect.Int && k <= reflect.Int64:
		w.WriteString(`"type":"integer"}`)
	case k >= reflect.Uint && k <= reflect.Uint64:
		w.WriteString(`"minimum":0,"type":"integer"}`)
	case k == reflect.Float32 || k == reflect.Float64:
		w.WriteString(`"type":"number"}`)
	case k == reflect.Slice:
		if f.required {
			w.WriteString(`"minItems":1,`)
		}
		w.WriteString(`"type":"array","items":`)
		if err := w.property(field{enum: f.enum, typ: t.Elem()}); err != nil {
			return err
		}
		w.WriteByte('}')
	case k == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		if f.required {
			w.WriteString(`"minProperties":1,`)
		}
		w.WriteString(`"type":"object","additionalProperties":{"type":"string"}}`)
	default:
		return fmt.Errorf("type %s has no schema; use string, bool, a number, time.Duration, sdk.Sensitive, a struct, a slice or a map of strings", t)
	}
	return nil
}
