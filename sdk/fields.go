package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	sensitiveType = reflect.TypeFor[Sensitive]()
	durationType  = reflect.TypeFor[time.Duration]()
)

// field is one setting as its struct tags declare it.
type field struct {
	name, doc, def, example   string
	enum                      []string
	env, litellm              []string // names in other systems, for the manifest's compat
	required, oneof, operator bool
	path                      bool // names a local file; a host makes a relative one absolute, against its own configuration's folder
	index                     int
	typ                       reflect.Type
}

func fieldsOf(t reflect.Type) ([]field, error) {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" || name == "-" || sf.Anonymous {
			return nil, fmt.Errorf("%s.%s: needs a json tag with its name", t, sf.Name)
		}
		f := field{name: name, doc: sf.Tag.Get("doc"), def: sf.Tag.Get("default"), example: sf.Tag.Get("example"),
			enum: words(sf.Tag.Get("enum")), env: words(sf.Tag.Get("env")), litellm: words(sf.Tag.Get("litellm")), index: i, typ: sf.Type}
		for _, k := range words(sf.Tag.Get("keyway")) {
			switch k {
			case "required":
				f.required = true
			case "oneof":
				f.oneof = true
			case "operator":
				f.operator = true
			case "path":
				if f.typ.Kind() != reflect.String {
					return nil, fmt.Errorf("%s.%s: only a string is a path", t, sf.Name)
				}
				f.path = true
			default:
				return nil, fmt.Errorf("%s.%s: unknown keyway tag %q", t, sf.Name, k)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

func words(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, ",")
}

// defaultJSON is the default as a JSON value. A oneof's default names the alternative.
func (f field) defaultJSON() json.RawMessage {
	switch {
	case f.oneof:
		return json.RawMessage(`{` + strconv.Quote(f.def) + `:{}}`)
	case f.typ == durationType || f.typ.Kind() == reflect.String:
		return json.RawMessage(strconv.Quote(f.def))
	}
	return json.RawMessage(f.def)
}

// structOf gives the struct type behind a nested settings type, if it is one.
func structOf(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && t != sensitiveType
}

// compatOf collects the names that other systems give to the settings, as name -> JSON Pointer.
func compatOf(t reflect.Type, path string, into map[string]string) error {
	fields, err := fieldsOf(t)
	if err != nil {
		return err
	}
	for _, f := range fields {
		p := path + "/" + f.name
		for _, e := range f.env {
			into["litellm.env."+e] = p
		}
		for _, n := range f.litellm {
			into["litellm.setting."+n] = p
		}
		if s, ok := structOf(f.typ); ok {
			if err := compatOf(s, p, into); err != nil {
				return err
			}
		}
	}
	return nil
}
