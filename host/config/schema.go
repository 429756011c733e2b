package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// Schema is the JSON Schema 2020-12 of keyway.yaml, for editors: what the decoder takes, read off the same tags. A store's
// settings are open in it, since each plugin has a schema for its own.
func Schema() []byte {
	root := object(reflect.TypeFor[Config]())
	root = append(jsonObject{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "keyway.yaml"}}, root...)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil { // only texts, numbers and lists of them go in
		panic(err)
	}
	return b.Bytes()
}

// jsonObject is a JSON object in a fixed order, so that editors offer the keys as the types have them.
type jsonObject []jsonMember

type jsonMember struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (m jsonObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, kv := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(kv.key) + ":")
		if err := e.Encode(kv.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func object(t reflect.Type) jsonObject {
	var properties jsonObject
	var required []string
	for _, f := range fieldsOf(t) {
		properties = append(properties, jsonMember{f.name, f.schema()})
		if f.required {
			required = append(required, f.name)
		}
	}
	m := jsonObject{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}}
	if required != nil {
		m = append(m, jsonMember{"required", required})
	}
	return m
}

func (f field) schema() jsonObject {
	var m jsonObject
	if f.doc != "" {
		m = append(m, jsonMember{"description", f.doc})
	}
	if f.def != "" {
		m = append(m, jsonMember{"default", f.json(f.def)})
	}
	if f.enum != nil {
		values := make([]any, len(f.enum))
		for i, e := range f.enum {
			values[i] = f.json(e)
		}
		m = append(m, jsonMember{"enum", values})
	}
	return append(m, f.kind()...)
}

// json gives a tag's text as the value that the file has.
func (f field) json(text string) any {
	switch f.typ.Kind() {
	case reflect.Int, reflect.Bool:
		return json.RawMessage(text)
	}
	return text
}

func (f field) kind() jsonObject {
	switch {
	case f.typ == durationType:
		return jsonObject{{"type", "string"}, {"pattern", durationForm}}
	case f.form == "size":
		return jsonObject{{"type", []string{"string", "integer"}}, {"pattern", sizeForm}, {"minimum", 0}}
	case f.form == "rate":
		return jsonObject{{"type", "string"}, {"pattern", rateForm}}
	case f.typ == accessType || f.typ.Kind() == reflect.String:
		return jsonObject{{"type", "string"}}
	case f.typ == settingsType:
		return jsonObject{{"type", "object"}}
	}
	switch f.typ.Kind() {
	case reflect.Int:
		return jsonObject{{"type", "integer"}, {"minimum", 0}}
	case reflect.Bool:
		return jsonObject{{"type", "boolean"}}
	case reflect.Slice:
		return jsonObject{{"type", "array"}, {"items", field{typ: f.typ.Elem()}.schema()}}
	case reflect.Map:
		return jsonObject{{"type", "object"}, {"additionalProperties", field{typ: f.typ.Elem()}.schema()}}
	case reflect.Pointer:
		return object(f.typ.Elem())
	}
	return object(f.typ)
}
