package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host/internal/suggest"
)

// Bounds on a file whose aliases refer to aliases: levels of nesting, and values in all after expansion.
const (
	maxDepth  = 64
	maxValues = 500_000
)

// decoder writes YAML nodes into the types of this package, by their tags.
type decoder struct {
	c        *Config
	problems []Problem
	depth    int
	values   int
	stopped  bool // a bound was passed, and reported
}

func (d *decoder) fault(path, format string, args ...any) {
	p := d.c.Problem(path, format, args...)
	d.faultAt(place{p.Line, p.Column}, path, "%s", p.Message)
}

func (d *decoder) faultAt(at place, path, format string, args ...any) {
	if d.stopped { // what is missing now may stand in the part that was not read
		return
	}
	d.problems = append(d.problems, Problem{d.c.File, at.line, at.column, path, fmt.Sprintf(format, args...)})
}

// enter counts values and one level of nesting, and answers whether to read on. The caller must leave in any case.
func (d *decoder) enter(path string, values int) bool {
	d.depth++
	d.values += values
	if !d.stopped && (d.depth > maxDepth || d.values > maxValues) {
		d.fault(path, "nested more than %d deep, or more than %d values once aliases are expanded", maxDepth, maxValues)
		d.stopped = true
	}
	return !d.stopped
}

func (d *decoder) leave() { d.depth-- }

// weight counts a long text as many values: aliases may repeat it too.
func weight(n *yaml.Node) int { return 1 + len(n.Value)/1024 }

// target follows an alias to what it stands for.
func target(n *yaml.Node) *yaml.Node {
	for range maxDepth {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

// member is one key of a mapping with its value.
type member struct {
	key, path string
	value     *yaml.Node
}

// members gives the keys of a mapping in order, and records their places. Keys that a merge (<<) brings come after, without
// those that are set. Faults are reported: not a mapping, a doubled key, a key that is no text.
func (d *decoder) members(n *yaml.Node, path string) []member {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		d.fault(path, "must be a mapping of keys%s", notA(n))
		return nil
	}
	defer d.leave()
	if !d.enter(path, len(n.Content)/2) {
		return nil
	}
	var own, merged []member
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() == "!!merge" {
			merged = append(merged, d.merge(n.Content[i+1], path)...)
		}
	}
	seen := map[string]place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		p, here := join(path, k.Value), place{k.Line, k.Column}
		first, doubled := seen[k.Value]
		switch {
		case k.ShortTag() == "!!merge":
		case k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str":
			d.faultAt(here, path, "a key must be a text; others stand in quotes")
		case doubled:
			d.faultAt(here, p, "is set twice; the first is in line %d", first.line)
		default:
			seen[k.Value], d.c.at[p] = here, here
			own = append(own, member{k.Value, p, v})
		}
	}
	for _, m := range merged {
		if _, set := seen[m.key]; !set {
			seen[m.key] = d.c.at[m.path]
			own = append(own, m)
		}
	}
	return own
}

// merge gives the keys behind <<: one mapping, or a list of them of which the first counts.
func (d *decoder) merge(n *yaml.Node, path string) []member {
	n = target(n)
	if n.Kind != yaml.SequenceNode {
		return d.members(n, path)
	}
	var all []member
	for _, c := range n.Content {
		all = append(all, d.members(c, path)...)
	}
	return all
}

// structure reads a mapping into the struct v.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	byName := map[string]field{}
	for _, f := range fields {
		byName[f.name] = f
	}
	given := map[string]bool{}
	for _, m := range d.members(n, path) {
		f, known := byName[m.key]
		if !known {
			hint := suggest.Hint(m.key, namesOf(fields))
			if hint == "" {
				hint = "; the keys here are " + strings.Join(namesOf(fields), ", ")
			}
			d.fault(m.path, "unknown key%s", hint)
			continue
		}
		given[m.key] = true
		d.value(m.value, v.Field(f.index), f, m.path)
	}
	for _, f := range fields {
		if f.required && !given[f.name] && target(n).Kind == yaml.MappingNode {
			d.fault(join(path, f.name), "is required")
		}
	}
}

// value reads one value by the type of its field.
func (d *decoder) value(n *yaml.Node, x reflect.Value, f field, path string) {
	n = target(n)
	defer d.leave()
	if !d.enter(path, weight(n)) {
		return
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.fault(path, "has no value; give it one, or leave the key away")
	case f.typ == settingsType:
		x.Set(reflect.ValueOf(d.settings(n, path)))
	case x.Kind() == reflect.Pointer:
		x.Set(reflect.New(f.typ.Elem()))
		d.structure(n, x.Elem(), path)
	case x.Kind() == reflect.Struct:
		d.structure(n, x, path)
	case x.Kind() == reflect.Map:
		d.named(n, x, path)
	case x.Kind() == reflect.Slice:
		d.list(n, x, path)
	default:
		d.scalar(n, x, f, path)
	}
}

// named reads a mapping of names to structs.
func (d *decoder) named(n *yaml.Node, x reflect.Value, path string) {
	x.Set(reflect.MakeMap(x.Type()))
	for _, m := range d.members(n, path) {
		v := reflect.New(x.Type().Elem()).Elem()
		d.value(m.value, v, field{name: m.key, typ: v.Type()}, m.path)
		x.SetMapIndex(reflect.ValueOf(m.key), v)
	}
}

// list reads a list of texts.
func (d *decoder) list(n *yaml.Node, x reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(path, "must be a list%s", notA(n))
		return
	}
	x.Set(reflect.MakeSlice(x.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		p := join(path, strconv.Itoa(i))
		d.c.at[p] = place{c.Line, c.Column}
		d.value(c, x.Index(i), field{typ: x.Type().Elem()}, p)
	}
}

func (d *decoder) scalar(n *yaml.Node, x reflect.Value, f field, path string) {
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		d.fault(path, "must be %s%s", f.wants(), notA(n))
	case foreign(n):
		d.fault(path, "%s", foreignTag)
	case x.Kind() == reflect.String && tag != "!!str" && tag != "!!timestamp":
		d.fault(path, "must be a text; YAML reads this as %s, so put it in quotes", kindOf(n))
	case (x.Kind() == reflect.Bool || x.Kind() == reflect.Int) && tag == "!!str":
		d.fault(path, "must be %s%s", f.wants(), notA(n))
	default:
		if err := f.parse(n.Value, x); err != nil {
			d.fault(path, "%v", err)
		}
	}
}

// wants says what a scalar field takes.
func (f field) wants() string {
	switch {
	case len(f.enum) > 0:
		return oneOf(f.enum)
	case f.typ == durationType:
		return "a duration such as 30s"
	case f.form == "size":
		return "a size such as 64MiB"
	case f.form == "rate":
		return "a rate such as 50/s"
	case f.typ.Kind() == reflect.Int:
		return "a whole number"
	case f.typ.Kind() == reflect.Bool:
		return "true or false"
	}
	return "a text"
}

// notA says what stands there instead: ", not a list".
func notA(n *yaml.Node) string { return ", not " + kindOf(n) }

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "a text"
}

const foreignTag = "a YAML tag (!…) is not allowed; a text that begins with ! stands in quotes"

// foreign reports whether a scalar has a tag that JSON has no type for.
func foreign(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp":
		return false
	}
	return true
}
