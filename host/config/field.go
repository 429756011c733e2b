package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// field is one key of the file as the struct tags declare it.
type field struct {
	name, doc, def, form string
	enum                 []string
	required, off        bool
	index                int
	typ                  reflect.Type
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	accessType   = reflect.TypeFor[Access]()
	settingsType = reflect.TypeFor[map[string]any]()
)

// fieldsOf reads the tags of a struct type, in the order of its fields.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("yaml")
		if !sf.IsExported() || name == "-" {
			continue
		}
		f := field{name: name, doc: sf.Tag.Get("doc"), def: sf.Tag.Get("default"), form: sf.Tag.Get("form"), index: i, typ: sf.Type}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		marks := strings.Split(sf.Tag.Get("keyway"), ",")
		f.required, f.off = slices.Contains(marks, "required"), slices.Contains(marks, "off")
		out = append(out, f)
	}
	return out
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// inherit fills the zero fields of the struct v from its tags' defaults, and those of structs inside it, also in maps. What a
// pointer leads to stays as it is.
func inherit(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		switch {
		case x.Kind() == reflect.Struct:
			inherit(x)
		case x.Kind() == reflect.Map && f.typ.Elem().Kind() == reflect.Struct:
			for _, k := range x.MapKeys() {
				e := reflect.New(f.typ.Elem()).Elem()
				e.Set(x.MapIndex(k))
				inherit(e)
				x.SetMapIndex(k, e)
			}
		case f.def != "" && x.IsZero():
			// A default that does not parse is a mistake in this package; the test of all defaults finds it.
			_ = f.parse(f.def, x)
		}
	}
}
