package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// YAML writes the configuration as keyway.yaml, without the keys that have their default. Parse reads it back as the same
// configuration. It fails for a literal whose settings are not what JSON has.
func (c *Config) YAML() ([]byte, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	n, err := mapping(reflect.ValueOf(*c), false)
	if err != nil {
		return nil, err
	}
	return yaml.Dump(n)
}

// mapping writes a struct. Where it overlays another, a key that has its default is written too: it may hide another.
func mapping(v reflect.Value, overlay bool) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		value, err := f.node(v.Field(f.index), overlay)
		if err != nil {
			return nil, err
		}
		if value != nil {
			n.Content = append(n.Content, text(f.name), value)
		}
	}
	return n, nil
}

// node writes one field; nil for one that is to be left away.
func (f field) node(x reflect.Value, overlay bool) (*yaml.Node, error) {
	switch {
	case f.required && f.typ.Kind() == reflect.Int:
		return number(fmt.Sprint(max(1, x.Int()))), nil
	case x.Kind() == reflect.Struct:
		n, err := mapping(x, overlay)
		if err != nil || len(n.Content) == 0 {
			return nil, err
		}
		return n, nil
	case x.IsZero():
		return nil, nil
	case f.typ == settingsType:
		n := &yaml.Node{}
		return n, n.Encode(x.Interface())
	}
	switch x.Kind() {
	case reflect.Pointer:
		return mapping(x.Elem(), true)
	case reflect.Map:
		return named(x)
	case reflect.Slice:
		return listNode(x)
	}
	s := f.format(x)
	switch {
	case s == f.def && !overlay:
		return nil, nil
	case f.typ == accessType || f.typ == durationType || f.form != "" || x.Kind() == reflect.String:
		return text(s), nil
	}
	return number(s), nil
}

// named writes a map of structs, sorted by name.
func named(x reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	names := x.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	for _, name := range names {
		value, err := field{typ: x.Type().Elem()}.node(x.MapIndex(name), false)
		if value == nil && err == nil { // a struct of defaults only
			value = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		}
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, text(name.String()), value)
	}
	return n, nil
}

// listNode writes a list of texts or structs.
func listNode(x reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for i := range x.Len() {
		var e *yaml.Node
		if x.Type().Elem().Kind() == reflect.Struct {
			var err error
			if e, err = mapping(x.Index(i), false); err != nil {
				return nil, err
			}
		} else {
			e = text(x.Index(i).String())
		}
		n.Content = append(n.Content, e)
	}
	return n, nil
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// number writes a number, or true or false.
func number(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }
