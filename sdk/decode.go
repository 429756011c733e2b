package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DecodeSettings reads one JSON object into the settings struct that into points to: strictly, with the defaults of the
// tags, and with every fault reported at its path. A fault never quotes a value, which may be a secret. Empty bytes are
// an empty object.
func DecodeSettings(raw []byte, into any) []Problem {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	var d decoder
	d.object(raw, reflect.ValueOf(into).Elem(), "", false)
	return d.problems
}

type decoder struct{ problems []Problem }

func (d *decoder) fault(path, format string, args ...any) {
	d.problems = append(d.problems, Problem{path, fmt.Sprintf(format, args...)})
}

func (d *decoder) object(raw json.RawMessage, v reflect.Value, path string, oneof bool) {
	members, doubled, err := splitObject(raw)
	if err != nil {
		d.fault(path, "%v", err)
		return
	}
	for _, k := range doubled {
		d.fault(path+"/"+escape(k), "is set twice")
	}
	fields, err := fieldsOf(v.Type())
	if err != nil {
		d.fault(path, "%v", err)
		return
	}
	names := make([]string, 0, len(fields))
	set := 0
	for _, f := range fields {
		names = append(names, f.name)
		p := path + "/" + f.name
		m, ok := members[f.name]
		delete(members, f.name)
		switch {
		case ok && string(m) != "null":
			set++
			d.value(m, v.Field(f.index), p, f)
		case f.def != "":
			d.value(f.defaultJSON(), v.Field(f.index), p, f)
		case f.required:
			d.fault(p, "is required")
		case f.typ.Kind() == reflect.Struct && f.typ != sensitiveType:
			d.defaults(v.Field(f.index), p)
		}
	}
	unknown := make([]string, 0, len(members))
	for k := range members {
		unknown = append(unknown, k)
	}
	slices.Sort(unknown)
	for _, k := range unknown {
		d.fault(path+"/"+escape(k), "is not a setting; the settings here are %s", strings.Join(names, ", "))
	}
	if oneof && set != 1 {
		d.fault(path, "needs exactly one of %s", strings.Join(names, ", "))
	}
}

// defaults fills a struct that the settings leave out. What it requires is only required of one that is given.
func (d *decoder) defaults(v reflect.Value, path string) {
	fields, err := fieldsOf(v.Type())
	if err != nil {
		d.fault(path, "%v", err)
		return
	}
	for _, f := range fields {
		switch p := path + "/" + f.name; {
		case f.def != "":
			d.value(f.defaultJSON(), v.Field(f.index), p, f)
		case f.typ.Kind() == reflect.Struct && f.typ != sensitiveType:
			d.defaults(v.Field(f.index), p)
		}
	}
}

// splitObject gives the members of a JSON object, the last of doubled ones, and the names that were doubled.
func splitObject(raw json.RawMessage) (members map[string]json.RawMessage, doubled []string, err error) {
	errShape := errors.New("must be an object")
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errShape
	}
	members = map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		k, ok := t.(string)
		var m json.RawMessage
		if err != nil || !ok || dec.Decode(&m) != nil {
			return nil, nil, errShape
		}
		if _, again := members[k]; again {
			doubled = append(doubled, k)
		}
		members[k] = m
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, errShape
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("must be one object, with nothing after it")
	}
	return members, doubled, nil
}

// escape writes one segment of a JSON Pointer (RFC 6901, section 3).
func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

func (d *decoder) value(raw json.RawMessage, v reflect.Value, path string, f field) {
	switch t := v.Type(); {
	case t == sensitiveType:
		d.sensitive(raw, v, path, f)
	case t == durationType:
		var s string
		x, err := time.Duration(0), json.Unmarshal(raw, &s)
		if err == nil {
			x, err = time.ParseDuration(s)
		}
		if err != nil || x < 0 {
			d.fault(path, "must be a duration such as %q", "30s")
			return
		}
		v.SetInt(int64(x))
	case t.Kind() == reflect.Pointer:
		n := reflect.New(t.Elem())
		d.object(raw, n.Elem(), path, f.oneof)
		v.Set(n)
	case t.Kind() == reflect.Struct:
		d.object(raw, v, path, f.oneof)
	case t.Kind() == reflect.Slice:
		d.list(raw, v, path, f)
	case t.Kind() == reflect.Map:
		d.texts(raw, v, path, f)
	default:
		d.scalar(raw, v, path, f)
	}
}

func (d *decoder) sensitive(raw json.RawMessage, v reflect.Value, path string, f field) {
	var s string
	if string(raw) == "null" || json.Unmarshal(raw, &s) != nil {
		d.fault(path, "must be a string")
		return
	}
	if f.required && s == "" {
		d.fault(path, "must not be empty")
	}
	v.Set(reflect.ValueOf(SensitiveString(s)))
}

func (d *decoder) list(raw json.RawMessage, v reflect.Value, path string, f field) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		d.fault(path, "must be a list")
		return
	}
	if f.required && len(items) == 0 {
		d.fault(path, "must not be empty")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, it := range items {
		d.value(it, v.Index(i), path+"/"+strconv.Itoa(i), field{enum: f.enum, typ: v.Type().Elem()})
	}
}

// texts reads an object whose members are all strings.
func (d *decoder) texts(raw json.RawMessage, v reflect.Value, path string, f field) {
	members, doubled, err := splitObject(raw)
	if err != nil {
		d.fault(path, "must be an object of strings")
		return
	}
	for _, k := range doubled {
		d.fault(path+"/"+escape(k), "is set twice")
	}
	if f.required && len(members) == 0 {
		d.fault(path, "must not be empty")
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(members)))
	for _, k := range slices.Sorted(maps.Keys(members)) {
		s := reflect.New(v.Type().Elem()).Elem()
		d.scalar(members[k], s, path+"/"+escape(k), field{typ: s.Type()})
		v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), s)
	}
}

func (d *decoder) scalar(raw json.RawMessage, v reflect.Value, path string, f field) {
	if string(raw) == "null" || json.Unmarshal(raw, v.Addr().Interface()) != nil {
		d.fault(path, "must be %s", kindName(v.Type()))
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, fmt.Sprint(v.Interface())) {
		d.fault(path, "must be one of %s", strings.Join(f.enum, ", "))
	}
	if f.required && v.Kind() == reflect.String && v.Len() == 0 {
		d.fault(path, "must not be empty")
	}
}

func kindName(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.String:
		return "a string"
	case k >= reflect.Int && k <= reflect.Int64:
		return "a whole number"
	case k >= reflect.Uint && k <= reflect.Uintptr:
		return "a whole number of 0 or more"
	}
	return "a number"
}
